"""`python -m attention_agents` and the console command `attention-agents`."""

from attention_agents.agents.cli import main  # pyright: ignore

if __name__ == "__main__":
    main()
