"""Replaying: record episodes of a run, draw them, and answer questions about them."""
