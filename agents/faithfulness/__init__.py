"""Whether a map explains a policy: what removing tokens does to the policy.

`run_study.study_faithfulness` rates a run's maps; `recorded_policy.hide_tokens` removes tokens in
one step; `rebuilt_env` replays a recorded episode.
"""
