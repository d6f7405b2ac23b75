"""`python -m attention_agents` and the console command `attention-agents`."""

from attention_agents.agents.cli.main import main

if __name__ == "__main__":
    main()
