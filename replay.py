"""Look at what a trained agent attends to: film it, play it on a page, search a recording."""

from attention_agents.agents.cli.main import main

if __name__ == "__main__":
    main("replay")
