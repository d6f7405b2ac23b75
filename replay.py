"""Record an episode of a trained agent, and draw what it attended to; or draw a recording."""

import sys
from dataclasses import dataclass
from typing import Annotated

import tyro

from agents.cli import run_verb
from agents.config import Modules
from agents.seeds import SEED


@dataclass(frozen=True)
class ReplayConfig:
    """Record episodes of a trained agent, and draw them with what the agent attended to.

    Writes a recording, and an MP4 and a contact sheet (PNG) per episode; the last lines on stdout
    say where they lie. Given a recording it only draws, and needs neither torch nor the model.
    """

    path: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN|RECORDING")]
    """A run folder that train.py made, or the folder of a recording."""
    env: Annotated[
        str | None, tyro.conf.arg(metavar="ID", help_behavior_hint="(default: RUN's)")
    ] = None
    """Id of the run's environment; needed where that is module:Id."""
    plugins: Modules = ()
    """Modules to import first; needed where the run was trained with some."""
    episodes: Annotated[
        int | None,
        tyro.conf.arg(metavar="INT", help_behavior_hint="(default: 1; of a recording, all)"),
    ] = None
    """Whole episodes to play or to draw."""
    seed: Annotated[
        int | None, tyro.conf.arg(metavar="INT", help_behavior_hint=f"(default: {SEED})")
    ] = None
    """Seed of the first episode; episode i has seed + i, as in evaluate.py. Of a run only."""
    layer: Annotated[
        int | None, tyro.conf.arg(metavar="INT", help_behavior_hint="(default: the readout's)")
    ] = None
    """Attention layer to show, 0 is the one next to the observation."""
    head: Annotated[
        int | None, tyro.conf.arg(metavar="INT", help_behavior_hint="(default: the mean of all)")
    ] = None
    """Attention head to show."""
    out: Annotated[
        str | None,
        tyro.conf.arg(metavar="DIR", help_behavior_hint="(default: in RUN or RECORDING)"),
    ] = None
    """Folder to write to; for the recording of a run it must be missing or empty."""
    fps: Annotated[
        float | None,
        tyro.conf.arg(
            metavar="FLOAT", help_behavior_hint="(default: the environment's, or slower)"
        ),
    ] = None
    """Steps per second in the video."""
    stochastic: tyro.conf.FlagCreatePairsOff[bool] = False
    """Draw actions from the policy's distribution; else take the likeliest. Of a run only."""
    checkpoint: Annotated[
        str | None, tyro.conf.arg(metavar="STR", help_behavior_hint="(default: best)")
    ] = None
    """best, final or step_<n>; without a best one, final is taken. Of a run only."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:0, ... for the policy of a run."""


def main(config: ReplayConfig) -> None:
    from agents.plugins import import_plugins
    from agents.replay import replay

    import_plugins(config.plugins)
    replayed = replay(
        config.path,
        env=config.env,
        episodes=config.episodes,
        seed=config.seed,
        stochastic=config.stochastic,
        out=config.out,
        checkpoint=config.checkpoint,
        layer=config.layer,
        head=config.head,
        fps=config.fps,
        device=config.device,
        progress=True,
    )
    for note in replayed.notes:
        print(f"replay.py: {note}", file=sys.stderr)
    for drawn in replayed.drawn:
        print(drawn.summary)
    print(replayed.recording)
    for drawn in replayed.drawn:
        print(drawn.video)
        print(drawn.sheet)


if __name__ == "__main__":
    run_verb(main, ReplayConfig)
