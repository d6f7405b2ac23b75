"""The console command, and the three scripts."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from attention_agents.agents.cli.command import HELP, exit_codes
from attention_agents.agents.cli.evaluate import EVALUATE
from attention_agents.agents.cli.options import show_verbs
from attention_agents.agents.cli.replay import REPLAY
from attention_agents.agents.cli.train import TRAIN
from attention_agents.agents.config.validation import check_choice

COMMANDS = {command.name: command for command in (TRAIN, EVALUATE, REPLAY)}


def main(command: str | None = None, argv: Sequence[str] | None = None) -> None:
    """Run a command line, and exit.

    Args:
        command: train, evaluate or replay; None reads it from the first word.
        argv: the words after the program's name; None takes those of this process.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    prog = program_name()
    if command is None and words and words[0] in COMMANDS:
        command = words.pop(0)
        prog = f"{prog} {command}"
    with exit_codes(prog):
        if command is None:
            choose_command(words, prog)
        else:
            COMMANDS[command].run(words, prog)


def choose_command(words: Sequence[str], prog: str) -> None:
    """Print the help where it is asked for, else refuse words that name no command.

    Raises:
        ValueError: they do not begin with --help.
    """
    if not words:
        raise ValueError(f"name a command: {', '.join(COMMANDS)}; see {prog} --help")
    if words[0] not in HELP:
        check_choice("command", words[0], COMMANDS)
    summaries = {name: entry.summary for name, entry in COMMANDS.items()}
    show_verbs(prog, "Attention for reinforcement learning agents.", summaries)


def program_name() -> str:
    """Return how this program was called, such as train.py or attention-agents."""
    name = Path(sys.argv[0]).name.removesuffix(".exe")
    return "python -m attention_agents" if name == "__main__.py" else name or "python"
