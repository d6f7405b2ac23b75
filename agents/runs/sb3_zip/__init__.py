"""Zip files of Stable-Baselines3, written, and read without running what they hold."""
