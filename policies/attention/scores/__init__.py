"""How well each key answers each query: one file for each kind of score."""
