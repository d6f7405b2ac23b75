"""Playing episodes with a checkpoint of a run while they are recorded."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attention_agents.agents.progress_bar import progress_bars
from attention_agents.agents.rollouts.seeds import SEED, episode_seeds
from attention_agents.agents.runs.run_folder import RunFolder
from attention_agents.recording.map_spec import MapSpec
from attention_agents.recording.map_view import choose_view

if TYPE_CHECKING:
    import gymnasium as gym

    from attention_agents.agents.config.run_config import RunConfig
    from attention_agents.agents.rollouts.episodes import Actor, EnvState
    from attention_agents.agents.runs.loaded_run import LoadedRun


def record_run(
    run: str | Path,
    *,
    env: str | None = None,
    episodes: int = 1,
    seed: int = SEED,
    stochastic: bool = False,
    out: str | Path | None = None,
    checkpoint: str | None = None,
    layer: int | None = None,
    head: int | None = None,
    device: str = "auto",
    progress: bool = False,
    warn: Callable[[str], Any] = warnings.warn,
) -> Path:
    """Play episodes with a checkpoint of a run, and record them.

    Episode i has the seed `seed + i` and plays bit for bit as in an evaluation with that seed.

    Args:
        run: a run folder, or a zip file of Stable-Baselines3.
        env: the run's environment, needed where the run names a module to import (`module:Id`), and
            for a zip file.
        episodes: how many, at least 1.
        seed: of the first episode, at least 0.
        stochastic: draw actions from the policy's distribution; else take the likeliest.
        out: folder of the new recording, missing or empty; by default the next one in the run.
        checkpoint: best, final or step_<n>; None takes the first of them that there is.
        layer, head: what will be drawn; only checked, so that a wrong one is told before playing.
        device: where the policy lives, in torch's words or "auto".
        progress: show a bar on stderr when it is a terminal.
        warn: called with a line on why there are no frames, when they cannot be drawn here.

    Returns:
        The folder of the recording.

    Raises:
        ValueError: a number is out of range, there is no such run, checkpoint, layer or head, `env`
            is needed or wrong, the environment cannot be made, or `out` is not empty or cannot be
            written.
    """
    seeds = episode_seeds(seed, episodes)
    if not Path(run).is_file():
        _check_view(RunFolder.open(run).config(), layer, head)

    from attention_agents.agents.runs.loaded_run import open_run

    with open_run(run, checkpoint, env=env, device=device) as loaded:
        return record_episodes(loaded, seeds, stochastic, out, progress, warn)


def record_episodes(
    run: LoadedRun,
    seeds: Sequence[int],
    stochastic: bool = False,
    out: str | Path | None = None,
    progress: bool = False,
    warn: Callable[[str], Any] = warnings.warn,
    env: gym.Env | None = None,
) -> Path:
    """Play and record one episode per seed with an open run, and return the recording's folder.

    The other arguments are those of `record_run`.

    Args:
        env: that is played, and stays open until the run is closed; by default a new one.
    """
    from attention_agents.agents.rollouts.episodes import play_episodes

    env = run.make_rendering_env(warn) if env is None else env
    target = run.folder.make_recording_folder() if out is None else Path(out)
    recorder = run.recorder(env, target)
    with ExitStack() as stack:
        stack.callback(recorder.finish)
        advance = stack.enter_context(progress_bars(progress))
        actor = CountingActor(run.actor(stochastic), lambda: advance("steps recorded"))
        play_episodes([recorder], actor, seeds, run.success_rule)
    return target


class CountingActor:
    """An actor that counts its calls aloud."""

    def __init__(self, actor: Actor, tick: Callable[[], Any]):
        self._actor, self._tick = actor, tick

    def act(self, env_states: Sequence[EnvState]) -> Sequence[Any]:
        self._tick()
        return self._actor.act(env_states)


def _check_view(config: RunConfig, layer: int | None, head: int | None) -> None:
    encoder = config.encoder
    layers = range(encoder.layers)
    choose_view([MapSpec("", "", i, encoder.heads, "tokens") for i in layers], layer, head)
