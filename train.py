"""Train an attention agent on a Gymnasium environment."""

from attention_agents.agents.cli.main import main

if __name__ == "__main__":
    main("train")
