"""Training agents, playing and judging them, and replaying what they attended to."""
