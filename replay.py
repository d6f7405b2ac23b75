"""Look at what a trained agent attends to: film it, play it on a page, ask a recording."""

import sys
from dataclasses import dataclass
from typing import Annotated, Any

import tyro

from attention_agents.agents.cli import run_verb
from attention_agents.agents.config.cli_types import Modules, left_open
from attention_agents.agents.replay.output_kinds import MAKES, USUAL
from attention_agents.agents.rollouts.seeds import SEED

QUESTIONS = ("find", "hide", "diff", "minari", "terminal")

EXAMPLES = """
what --make can name:
{makes}

what --find can ask:
{words}

examples:
  python replay.py RUN                                  record an episode; film, sheet and page
  python replay.py RUN --episodes 5 --make page gallery
  python replay.py RECORDING --terminal                 on a machine without a screen
  python replay.py RECORDING --find "attention[key] > 0.5 and action == 'pickup'"
  python replay.py RECORDING --hide "key@12"            what if it had not seen the key at step 12
  python replay.py RECORDING --diff OTHER_RUN           where another agent looks elsewhere
  python replay.py RUN --beside OTHER_RUN               both on one page, on one clock
"""


METAVAR = tyro.conf.arg(metavar="RUN|RECORDING")


@dataclass(frozen=True)
class WhatOptions:
    """What is replayed."""

    path: Annotated[str, tyro.conf.Positional, METAVAR] = tyro.MISSING
    """A run folder that train.py made, or the folder of a recording."""
    beside: Annotated[str | None, left_open("RUN|RECORDING", "none")] = None
    """Another one, to go beside it on the page."""
    episodes: Annotated[int | None, left_open("INT", "1; of a recording, all")] = None
    """Whole episodes to play, or to look at."""


@dataclass(frozen=True)
class PlayOptions:
    """How a run is played; not for recordings."""

    env: Annotated[str | None, left_open("ID", "RUN's")] = None
    """Id of the run's environment; needed where that is module:Id."""
    plugins: Modules = ()
    """Modules to import first; needed where the run was trained with some."""
    seed: Annotated[int | None, left_open("INT", str(SEED))] = None
    """Seed of the first episode; episode i has seed + i, as in evaluate.py."""
    stochastic: tyro.conf.FlagCreatePairsOff[bool] = False
    """Draw actions from the policy's distribution; else take the likeliest."""
    checkpoint: Annotated[str | None, left_open("STR", "best")] = None
    """best, final or step_<n>; without a best one, final is taken."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:0, ... for the policy."""


@dataclass(frozen=True)
class PictureOptions:
    """What is made, and which attention it shows."""

    make: Annotated[tuple[str, ...] | None, left_open("WORD", " ".join(USUAL))] = None
    """video, gif, sheet, gallery, page, npz; explained below."""
    terminal: tyro.conf.FlagCreatePairsOff[bool] = False
    """Play it here, in coloured blocks, and make no files; a line per step where this is no
    terminal."""
    layer: Annotated[int | None, left_open("INT", "all of them, by rollout")] = None
    """Attention layer to show, 0 is the one next to the observation; the page has them all."""
    head: Annotated[int | None, left_open("INT", "the mean of all")] = None
    """Attention head to show."""
    fps: Annotated[float | None, left_open("FLOAT", "the environment's, or slower")] = None
    """Steps per second."""
    out: Annotated[str | None, left_open("DIR", "in RUN or RECORDING")] = None
    """Folder to write to; for what is recorded it must be missing or empty."""


@dataclass(frozen=True)
class QuestionOptions:
    """What is asked of it, in place of pictures; one of these."""

    find: Annotated[str | None, left_open("QUESTION", "none")] = None
    """List the steps that answer it with yes; its words are explained below."""
    hide: Annotated[str | None, left_open("TOKEN@STEP", "none")] = None
    """Ask the agent again without some tokens, and play on from there; TOKEN@EPISODE:STEP too."""
    diff: Annotated[str | None, left_open("RUN", "none")] = None
    """Where another run's agent looks and acts differently in the same states."""
    minari: Annotated[str | None, left_open("ID", "none")] = None
    """Add the recording to the local Minari datasets under this id, maps included."""


@dataclass(frozen=True)
class ReplayConfig(QuestionOptions, PictureOptions, PlayOptions, WhatOptions):
    """Look at what a trained agent attends to.

    Given a run it records episodes first; given a recording it only looks, and needs neither torch
    nor the model. The last lines on stdout say where the recording and the pictures lie.
    """


def main(config: ReplayConfig) -> None:
    from attention_agents.agents.config.plugins import import_plugins

    import_plugins(config.plugins)
    options = {**vars(config), "progress": True}
    del options["plugins"]
    asked = {kind: text for kind in QUESTIONS if (text := options.pop(kind)) not in (None, False)}
    if len(asked) > 1:
        raise ValueError(f"ask one thing at a time, got {' and '.join(f'--{k}' for k in asked)}")
    if asked:
        answer(*next(iter(asked.items())), options)
    else:
        draw(options)


def answer(kind: str, text: str, options: dict[str, Any]) -> None:
    """Print the answer to a question."""
    from attention_agents.agents.replay.ask import ask

    pictures = {name: options[name] for name in ("make", "beside")}
    if given := [f"--{name}" for name, value in pictures.items() if value is not None]:
        raise ValueError(
            f"{' and '.join(given)} cannot go with --{kind}, which makes no such pictures; "
            "call replay.py once for each"
        )
    words = {name: value for name, value in options.items() if name not in pictures}
    said = ask(kind=kind, question=text, **words)
    tell(said.notes)
    if said.lines:
        print(*said.lines, sep="\n")


def draw(options: dict[str, Any]) -> None:
    """Make pictures, and print where they lie."""
    from attention_agents.agents.replay.replay import replay

    make = options.pop("make")
    replayed = replay(make=USUAL if make is None else make, **options)
    tell(replayed.notes)
    for drawn in replayed.drawn:
        print(drawn.summary)
    print(replayed.recording)
    for file in [*(file for drawn in replayed.drawn for file in drawn.files), *replayed.files]:
        print(file)


def tell(notes: list[str]) -> None:
    for note in notes:
        print(f"replay.py: {note}", file=sys.stderr)


def examples() -> str:
    """Return what `--help` ends with."""
    from attention_agents.recording.query.expression import explain

    makes = "\n".join(f"  {word:10} {help}" for word, help in MAKES.items())
    words = "\n".join(f"  {line}" for line in explain().splitlines())
    return EXAMPLES.format(makes=makes, words=words)


if __name__ == "__main__":
    run_verb(main, ReplayConfig, examples=examples())
