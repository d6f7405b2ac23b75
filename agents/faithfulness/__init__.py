"""Whether a map explains a policy: what removing tokens does to the policy.

`run_study.study_faithfulness` rates a run's maps; `hide_tokens.hide_tokens` removes tokens in
one step; `rebuilt_env` replays a recorded episode.
"""
