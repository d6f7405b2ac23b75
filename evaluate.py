"""Evaluate a trained agent, and the random policy on the same seeds."""

from attention_agents.agents.cli.main import main

if __name__ == "__main__":
    main("evaluate")
