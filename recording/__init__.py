"""Recordings of attention: writing, reading, drawing, and asking questions of them."""
