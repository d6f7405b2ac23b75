"""Configurations: what a person may choose, presets, and what is refused."""
