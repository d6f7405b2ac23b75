"""Where two policies look and act differently in the very same states.

The other policy is played a recording as if it were a world. What it would do and attend to there
is a recording of its own, which goes beside the first on a page.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from attention_agents.agents.progress_bar import bar
from attention_agents.agents.replay.render_recording import PAGE, whole_episodes
from attention_agents.agents.runs.record_run import Ticking, next_folder
from attention_agents.agents.runs.run_folder import RunFolder
from attention_agents.recording.map_spec import ROLLOUT, MapSpec
from attention_agents.recording.map_view import View, choose_view
from attention_agents.recording.page.page import write_page
from attention_agents.recording.query.columns import Columns
from attention_agents.recording.reader import Episode, Recording, open_recording


class Apart(NamedTuple):
    """One state, as two policies took it."""

    episode: Episode
    step: int
    distance: float
    """Between their maps: 0 the same, 1 nothing in common (total variation)."""
    actions: tuple[str, str]
    """What was done, and what the other would do."""

    @property
    def line(self) -> str:
        """The state in one line."""
        one, other = self.actions
        done = f"{one}, the other {other}" if one != other else f"both {one}"
        name = self.episode.folder.name
        return f"{name} step {self.step}  attention {self.distance:.2f} apart  {done}"


class Difference(NamedTuple):
    """Two policies in the states of one recording."""

    states: list[Apart]
    """All of them, in their order."""
    other: Recording
    """What the other would do and attend to in these states."""
    page: Path

    @property
    def summary(self) -> str:
        """How far they agree, in one sentence."""
        agree = np.mean([one == other for one, other in (each.actions for each in self.states)])
        apart = np.mean([each.distance for each in self.states])
        return (
            f"in {len(self.states)} states they take the same action in {agree:.0%}, and their "
            f"attention is {apart:.2f} apart on average (0 the same, 1 nothing in common)"
        )

    def widest(self, count: int) -> list[Apart]:
        """Return the states where they differ most: other actions first, then other attention."""

        def width(each: Apart) -> tuple[bool, float]:
            return each.actions[0] != each.actions[1], each.distance

        return sorted(self.states, key=width, reverse=True)[:count]


def difference(
    recording: Recording,
    run: str | Path,
    *,
    env: str | None = None,
    checkpoint: str | None = None,
    episodes: int | None = None,
    out: str | Path | None = None,
    layer: int | None = None,
    head: int | None = None,
    device: str = "auto",
    progress: bool = False,
) -> Difference:
    """Compare a recorded policy with another in the states of the recording.

    Args:
        recording: of one policy.
        run: of the other; its tokens must be the same.
        env: the other run's environment, needed where it names a module to import (`module:Id`).
        checkpoint: of the other; None takes best, or else final.
        episodes: how many, from the first; None means all.
        out: folder for the other's recording and the page, missing or empty; by default the next
            one among the other run's recordings.
        layer, head: which maps are compared, see `recording.map_view.choose_view`.

    Raises:
        ValueError: the recording is empty, there is no such run, checkpoint, layer or head, it has
            other tokens or actions, or the folder is not empty or cannot be written.
    """
    whole = whole_episodes(recording, episodes)
    choose_view(recording.header.maps, layer, head)  # refuses early
    folder = RunFolder.open(run)

    from attention_agents.agents.algorithms.device import check_device
    from attention_agents.agents.evaluation.evaluate import checkpoint_folder, choose_checkpoint
    from attention_agents.agents.rollouts.episodes import GreedyActor, play
    from attention_agents.agents.rollouts.eval_env import check_env_trusted
    from attention_agents.agents.rollouts.recorded_env import RecordedWorld
    from attention_agents.agents.runs.checkpoint import load_checkpoint
    from attention_agents.agents.training.train import torch_settings
    from attention_agents.recording.live.recorder import RecordAttention

    check_device(device)
    loaded = load_checkpoint(
        checkpoint_folder(folder, choose_checkpoint(folder, checkpoint)), device
    )
    check_env_trusted(loaded.config, env)
    check_same_world(recording, loaded.model, folder)
    target = next_folder(folder) if out is None else Path(out)
    with torch_settings(loaded.config.threads), bar("looking", None, progress) as steps:
        model = loaded.model
        recorder = RecordAttention(
            RecordedWorld(whole, model.observation_space, model.action_space),
            model,
            target,
            normalise=loaded.normalize,
            run=str(folder.path),
            value_unit="normalised" if loaded.config.normalize_reward else "",
            world=recording.header,
        )
        try:
            actor = Ticking(GreedyActor(loaded.answer), steps.update)
            play([recorder], actor, seeds_of(whole), lambda info, score: None)
        finally:
            recorder.close()
    other = open_recording(target)
    views = comparable_views(recording.header.maps, other.header.maps, layer, head)
    states = [
        state
        for pair in zip(whole, other.episodes, strict=True)
        for state in compared(*map(Columns, pair, views))
    ]
    names = (recording.folder.name, f"{folder.path.name} in the same states")
    page = write_page(target / PAGE, [recording, other], names=names, episodes=len(whole))
    return Difference(states, other, page)


def comparable_views(
    maps: Sequence[MapSpec], other: Sequence[MapSpec], layer: int | None, head: int | None
) -> tuple[View, View]:
    """Choose what to show of two recordings: the same kind of map, a rollout only of both.

    Raises:
        ValueError: see `recording.map_view.choose_view`.
    """
    both = all(any(spec.derived == ROLLOUT for spec in each) for each in (maps, other))
    one, another = (
        choose_view([spec for spec in each if both or spec.derived != ROLLOUT], layer, head)
        for each in (maps, other)
    )
    return one, another


def compared(one: Columns, other: Columns) -> list[Apart]:
    """Return every step of an episode as two policies took it."""
    shares = [
        each.weights / np.maximum(each.weights.sum(-1, keepdims=True), 1e-30)
        for each in (one, other)
    ]
    distances = 0.5 * np.abs(shares[0] - shares[1]).sum(-1)
    actions = zip(one["action"].tolist(), other["action"].tolist(), strict=True)
    return [
        Apart(one.episode, t, float(distance), pair)
        for t, (distance, pair) in enumerate(zip(distances, actions, strict=True))
    ]


def seeds_of(episodes: Sequence[Episode]) -> list[int]:
    """Return a number of its own for each episode: its seed, where all have different ones."""
    seeds = [episode.seed for episode in episodes]
    if len({seed for seed in seeds if seed is not None}) == len(seeds):
        return [seed for seed in seeds if seed is not None]
    return list(range(len(seeds)))


def check_same_world(recording: Recording, model: Any, folder: RunFolder) -> None:
    """Refuse a policy that cannot be asked in the states of a recording.

    Raises:
        ValueError: its tokens or its actions are others, or it has no attention.
    """
    from attention_agents.policies.inspect.attention_modules import attention_extractors
    from attention_agents.recording.live.header import action_kind, action_sizes

    header = recording.header
    layout = next(
        each.layout for role, each in attention_extractors(model.policy).items() if role != "critic"
    )
    if layout != header.layout:
        raise ValueError(
            f"the {len(layout)} tokens of the run {folder.path} are not the {len(header.layout)} "
            f"of {recording.folder}; compare runs of one environment and one way to cut tokens"
        )
    space = model.action_space
    if (action_kind(space), action_sizes(space)) != (header.action_kind, header.action_sizes):
        raise ValueError(f"the run {folder.path} has other actions than {recording.folder}")
