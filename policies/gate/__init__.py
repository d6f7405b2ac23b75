"""Attention as a gate: tokens whose places mean something, and then the stock network."""
