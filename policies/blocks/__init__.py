"""Layers of an encoder: tokens in, tokens out, one file for each block."""
