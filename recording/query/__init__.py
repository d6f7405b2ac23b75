"""Questions to an episode, such as `attention[key] > 0.5`."""
