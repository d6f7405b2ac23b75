"""What the distance between query and token adds to a score: one file for each kind."""
