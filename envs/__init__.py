"""Environments: making them, what their tokens are, and where tokens are on the rendered frame."""
