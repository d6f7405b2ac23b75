"""What each verb of `replay` takes and returns; free of numpy, so that `--help` is quick."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import tyro

from attention_agents.agents.config.cli_types import Modules, optional_arg
from attention_agents.agents.rollouts.seeds import SEED

OUTPUT_KINDS = {
    "video": "an MP4 of each episode",
    "gif": "a GIF of each episode",
    "sheet": "a PNG of a dozen moments of each episode",
    "gallery": "a PNG of the pieces that mattered most and least",
    "page": "one HTML page of all, to play, scrub and click",
    "npz": "all numbers as one file for numpy",
}
"""What can be made of a recording."""
DEFAULT_OUTPUTS = ("video", "sheet", "page")


@dataclass(frozen=True, kw_only=True)
class ReplayOptions:
    """What is looked at; given a run, episodes of it are recorded first."""

    path: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN|RECORDING|MODEL.zip")]
    """A run folder that training made, the folder of a recording, or a zip file of
    Stable-Baselines3, with attention or without."""
    episodes: Annotated[int | None, optional_arg("INT", "1; of a recording, all")] = None
    """Whole episodes to play, or to look at."""
    env: Annotated[str | None, optional_arg("ID", "RUN's")] = None
    """Id of the run's environment; needed where that is module:Id, and for a zip file."""
    plugins: Modules = ()
    """Modules to import first; needed where the run was trained with some."""
    seed: Annotated[int | None, optional_arg("INT", str(SEED))] = None
    """Seed of the first episode of a run; episode i has seed + i, as in an evaluation."""
    stochastic: tyro.conf.FlagCreatePairsOff[bool] = False
    """Sample actions of a run from the policy's distribution; else take the likeliest."""
    checkpoint: Annotated[str | None, optional_arg("STR", "best")] = None
    """best, final or step_<n> of a run; without a best one, final is taken."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:0, ... for the policy."""
    progress: bool = True
    """Show progress bars, where stderr is a terminal."""


@dataclass(frozen=True, kw_only=True)
class MapOptions:
    """Which attention map is looked at."""

    layer: Annotated[int | None, optional_arg("INT", "all of them, by rollout")] = None
    """Attention layer to show, 0 is the one next to the observation; the page has them all."""
    head: Annotated[int | None, optional_arg("INT", "the mean of all")] = None
    """Attention head to show."""


@dataclass(frozen=True, kw_only=True)
class EvidenceOptions:
    """Which evidence is looked at."""

    component: Annotated[str, optional_arg("NAME", "the one with most evidence")] = ""
    """Part of an action whose evidence counts, by name or number, where it has several."""


@dataclass(frozen=True, kw_only=True)
class ShownOptions(EvidenceOptions, MapOptions):
    """What is looked at: evidence, or attention."""

    show: Annotated[
        Literal["", "evidence", "attention"],
        optional_arg("evidence|attention", "evidence, unless a layer or head is named"),
    ] = ""
    """evidence: what spoke for and against the action; attention: where it may take information
    from. The page has both."""


@dataclass(frozen=True, kw_only=True)
class PictureOptions(ShownOptions):
    """What is drawn, and where to."""

    make: Annotated[tuple[str, ...], optional_arg("WORD", " ".join(DEFAULT_OUTPUTS))] = (
        DEFAULT_OUTPUTS
    )
    """video, gif, sheet, gallery, page, npz; explained below."""
    fps: Annotated[float | None, optional_arg("FLOAT", "the environment's, or slower")] = None
    """Steps per second."""
    out: Annotated[str | None, optional_arg("DIR", "in RUN or RECORDING")] = None
    """Folder to write to; for what is recorded it must be missing or empty."""


@dataclass(frozen=True, kw_only=True)
class DrawOptions(PictureOptions, ReplayOptions):
    """Draw episodes with evidence and attention: a film, a contact sheet, a page.

    Given a run it records episodes first; given a recording it only looks, and needs neither torch
    nor the model. The last lines on stdout are the paths of the recording and of the pictures.
    """

    beside: Annotated[str | None, optional_arg("RUN|RECORDING", "none")] = None
    """Another run or recording, shown on the page beside this one. A run is recorded with the same
    seeds."""


@dataclass(frozen=True, kw_only=True)
class FindOptions(EvidenceOptions, MapOptions, ReplayOptions):
    """List the steps for which a condition holds.

    The last line on stderr links the first of them on the page of the recording.
    """

    condition: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="CONDITION")]
    """Such as "evidence of door > 0.3" or "attention[key] > 0.5 and action == 'pickup'"; its words
    are explained below."""


@dataclass(frozen=True, kw_only=True)
class HideOptions(ReplayOptions):
    """Hide tokens from the agent in one step, and play on from there.

    Prints what the policy does without them, and draws both futures on one page. env, checkpoint
    and device are those of the run that was recorded.
    """

    hidden: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TOKEN@STEP")]
    """The tokens and the step, such as key@12; key@1:12 for step 12 of episode 1."""
    out: Annotated[str | None, optional_arg("DIR", "in RUN")] = None
    """Folder for the other future, missing or empty."""


@dataclass(frozen=True, kw_only=True)
class DiffOptions(MapOptions, ReplayOptions):
    """List where another run's agent looks and acts differently in the same states.

    Of a recording, env, checkpoint and device are those of the other run.
    """

    other_run: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="OTHER_RUN")]
    """The run folder of the other agent."""
    out: Annotated[str | None, optional_arg("DIR", "in OTHER_RUN")] = None
    """Folder for what the other agent would do, missing or empty."""


@dataclass(frozen=True, kw_only=True)
class ExportOptions(ReplayOptions):
    """Add the recording to the local Minari datasets, maps included."""

    dataset_id: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="ID")]
    """Id of the new dataset, such as doorkey/attention-v0."""


@dataclass(frozen=True, kw_only=True)
class WatchOptions(ShownOptions, ReplayOptions):
    """Play episodes in the terminal, in colored blocks, and make no files.

    Where stdout is no terminal, prints a line per step.
    """

    fps: Annotated[float | None, optional_arg("FLOAT", "the environment's, or slower")] = None
    """Steps per second."""


class TextOutput(NamedTuple):
    """What a verb prints."""

    lines: list[str]
    """On stdout."""
    notes: list[str]
    """On stderr."""
