"""Wrappers: spaces that SB3 takes, histories of observations, and padding."""
