"""Whether a map can be believed: what removing tokens does to the policy.

`study.faithfulness` scores a run; `hiding.hidden` asks about one step; `remaking` makes a recorded
episode's world again.
"""
