"""The algorithms: which there are, what they take, and how one is built."""
