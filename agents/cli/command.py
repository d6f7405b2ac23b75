"""Commands and their verbs: which options a verb reads, what it runs, and its exit code.

Exit codes: 0 done, 2 the caller's mistake (one to three lines on stderr), 130 interrupted. A fault
of the program itself keeps its traceback and exits with 1.
"""

from __future__ import annotations

import contextlib
import difflib
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from attention_agents.agents.cli.options import option_names, read_options, show_verbs
from attention_agents.agents.config.plugins import current_folder

HELP = ("-h", "--help")


def no_epilog(words: Sequence[str]) -> str:
    return ""


@dataclass(frozen=True)
class Verb:
    """One thing that a command can do."""

    options: type
    """A frozen dataclass; its docstrings are the help."""
    run: Callable[[Any], Sequence[str] | None]
    """Does the work, prints the result and may return notes for stderr; its ValueErrors are the
    caller's mistakes."""
    epilog: Callable[[Sequence[str]], str] = no_epilog
    """Returns what `--help` ends with, from the words of the command line."""

    @property
    def summary(self) -> str:
        """What it does, in one line."""
        return (self.options.__doc__ or "").partition("\n")[0]


@dataclass(frozen=True)
class Command:
    """A command: one verb named "", or several of which the first is the default."""

    name: str
    verbs: Mapping[str, Verb]
    summary: str = ""
    examples: str = ""
    """What `--help` of a command with several verbs ends with."""
    flags: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Options that choose a verb, as in earlier versions: the verb, and the positional argument
    that the option's value is; "" for an option without a value."""

    def run(self, words: Sequence[str], prog: str) -> None:
        """Read the options of the verb that the words name, and run it.

        Raises:
            ValueError: the words cannot be read, or the verb refuses them.
        """
        if len(self.verbs) > 1 and words and words[0] in HELP:
            summaries = {name: verb.summary for name, verb in self.verbs.items()}
            show_verbs(prog, self.summary, summaries, default=True)
            print(self._with_command_names(self.examples, prog), end="")
            return
        name, words, flags = self._choose_verb(words)
        verb, prog = self.verbs[name], f"{prog} {name}".strip()
        try:
            options = read_options(verb.options, words, prog, flags, self._hints(name))
        except SystemExit:
            print(self._with_command_names(verb.epilog(words), prog), end="")
            raise
        for note in verb.run(options) or ():
            print(f"{prog}: {note}", file=sys.stderr)

    def _choose_verb(self, words: Sequence[str]) -> tuple[str, Sequence[str], dict[str, str]]:
        """Return the verb, the words after it, and which options give its positional arguments.

        Raises:
            ValueError: the first word is a misspelt verb, or several options choose a verb.
        """
        default = next(iter(self.verbs))
        first = words[0] if words else ""
        if first and first in self.verbs:
            words = words[1:]
            if first != default:
                return first, words, {}
        elif first.isalpha() and not Path(first).exists():
            near = difflib.get_close_matches(first, list(self.verbs), n=1)
            if near:
                raise ValueError(f"unknown verb {first!r}; did you mean {near[0]!r}?")
        options = {word.partition("=")[0].removeprefix("--") for word in words if word[:2] == "--"}
        flags = [flag for flag in self.flags if flag in options]
        if len(flags) > 1:
            raise ValueError(f"one verb at a time, got {' and '.join(f'--{f}' for f in flags)}")
        if not flags:
            return default, words, {}
        verb, positional = self.flags[flags[0]]
        return verb, words, {flags[0]: positional}

    def _with_command_names(self, text: str, prog: str) -> str:
        """Replace {train}, {evaluate} and {replay} by how a person calls these commands."""
        is_script = prog.split()[0].endswith(".py")
        form = "python {}.py" if is_script else prog.partition(f" {self.name}")[0] + " {}"
        return re.sub(r"\{(train|evaluate|replay)\}", lambda match: form.format(match[1]), text)

    def _hints(self, name: str) -> dict[str, str]:
        """Return what to do about options that only other verbs have."""
        verbs_of: dict[str, list[str]] = {flag: [verb] for flag, (verb, _) in self.flags.items()}
        for verb_name, verb in self.verbs.items():
            for option in option_names(verb.options):
                verbs_of.setdefault(option, []).append(verb_name)
        return {
            option: f"has no use with {name}: leave it out; it goes with {', '.join(verbs)}"
            for option, verbs in verbs_of.items()
            if name not in verbs
        }


def run_script(
    run: Callable[[Any], None], options: type, argv: Sequence[str] | None = None
) -> None:
    """Read `options` from the command line of a script, run it, and exit."""
    prog = Path(sys.argv[0]).name or "python"
    with exit_codes(prog):
        Command("", {"": Verb(options, run)}).run(sys.argv[1:] if argv is None else argv, prog)


@contextlib.contextmanager
def exit_codes(prog: str) -> Iterator[None]:
    """Turn what is raised into messages and exit codes; exit with 0 where nothing is raised.

    Modules in the current folder can be imported meanwhile, after all that are installed.
    """
    try:
        with current_folder():
            yield
    except ValueError as error:
        refuse(prog, str(error))
    except MemoryError as error:
        refuse(prog, f"this machine has not enough memory for that: {error}")
    except KeyboardInterrupt as error:
        print(str(error) or "interrupted", file=sys.stderr)
        sys.exit(130)
    sys.exit(0)


def refuse(prog: str, message: str) -> NoReturn:
    """Print what was wrong, in at most three lines on stderr, and exit with 2."""
    lines = [line.strip() for line in message.splitlines() if line.strip()][:3]
    print("\n".join([f"{prog}: {lines[0] if lines else 'error'}", *lines[1:]]), file=sys.stderr)
    sys.exit(2)
