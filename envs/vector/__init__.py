"""Vector environments: worker processes, and their errors."""
