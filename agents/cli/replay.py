"""`replay`: draw, find, hide, diff, export, watch."""

from __future__ import annotations

from collections.abc import Sequence

from attention_agents.agents.cli.command import Command, Verb
from attention_agents.agents.replay.options import (
    OUTPUT_KINDS,
    DiffOptions,
    DrawOptions,
    ExportOptions,
    FindOptions,
    HideOptions,
    ReplayOptions,
    WatchOptions,
)

EXAMPLES = """
Without a verb: draw. A folder that is named like a verb is given as ./draw

examples:
  {replay} RUN                                  record an episode; film, sheet and page
  {replay} RUN --episodes 5 --make page gallery
  {replay} RUN --beside OTHER_RUN               both on one page, on one clock
  {replay} --sb3 MODEL.zip --env CartPole-v1    any agent that Stable-Baselines3 saved
  {replay} watch RECORDING                      on a machine without a screen
  {replay} find RECORDING "evidence of door > 0.3"
  {replay} find RECORDING "attention[key] > 0.5 and action == 'pickup'"
  {replay} hide RECORDING key@12                what if it had not seen the key at step 12
  {replay} diff RECORDING OTHER_RUN             where another agent looks elsewhere
  {replay} export RECORDING doorkey/demo-v0     a Minari dataset
"""


def run_replay(options: ReplayOptions) -> list[str]:
    """Run a verb; print its result, and return its notes."""
    from attention_agents.agents.replay.replay import run_replay_verb

    output = run_replay_verb(options)
    for line in output.lines:
        print(line)
    return output.notes


def list_output_kinds(words: Sequence[str]) -> str:
    kinds = "".join(f"  {word:10} {text}\n" for word, text in OUTPUT_KINDS.items())
    return f"\nwhat --make can name:\n{kinds}"


def list_query_words(words: Sequence[str]) -> str:
    from attention_agents.recording.query.expression import describe_words

    return "\nwords of a condition:\n" + "".join(
        f"  {line}\n" for line in describe_words().splitlines()
    )


REPLAY = Command(
    "replay",
    {
        "draw": Verb(DrawOptions, run_replay, list_output_kinds),
        "find": Verb(FindOptions, run_replay, list_query_words),
        "hide": Verb(HideOptions, run_replay),
        "diff": Verb(DiffOptions, run_replay),
        "export": Verb(ExportOptions, run_replay),
        "watch": Verb(WatchOptions, run_replay),
    },
    "Look at what a trained agent attends to.",
    examples=EXAMPLES,
    flags={
        "sb3": ("draw", "path"),
        "find": ("find", "condition"),
        "hide": ("hide", "hidden"),
        "diff": ("diff", "other_run"),
        "minari": ("export", "dataset_id"),
        "terminal": ("watch", ""),
    },
)
