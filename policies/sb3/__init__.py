"""Features extractors and policies for Stable-Baselines3 and sb3-contrib."""
