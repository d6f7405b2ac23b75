"""Compare two policies in the very same states: where do they look and act differently?

The other policy is played a recording as if it were an environment. What it would do and attend to
there is a recording of its own, which goes beside the first on a page.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attention_agents.agents.progress_bar import progress_bars
from attention_agents.agents.replay.options import DiffOptions, MapOptions, TextOutput
from attention_agents.agents.replay.render_recording import PAGE
from attention_agents.agents.replay.source import nonempty_episodes, open_or_record
from attention_agents.agents.runs.record_run import CountingActor
from attention_agents.agents.runs.run_folder import RunFolder
from attention_agents.recording.map_spec import ROLLOUT, MapSpec
from attention_agents.recording.map_view import MapView, choose_view
from attention_agents.recording.page.page import write_page
from attention_agents.recording.query.columns import EpisodeColumns
from attention_agents.recording.reader import Episode, Recording, is_recording, open_recording

if TYPE_CHECKING:
    from attention_agents.agents.runs.loaded_run import LoadedRun

MOST_LISTED = 12
"""States that are listed where two policies differ."""


class StateDifference(NamedTuple):
    """What two policies do in one state."""

    episode: Episode
    step: int
    distance: float
    """Between their maps: 0 the same, 1 nothing in common (total variation)."""
    actions: tuple[str, str]
    """What was done, and what the other would do."""

    @property
    def line(self) -> str:
        """The state in one line."""
        name, (first, second) = self.episode.folder.name, self.actions
        actions = f"{first}, the other {second}" if not self.same_action else f"both {first}"
        return f"{name} step {self.step}  attention {self.distance:.2f} apart  {actions}"

    @property
    def same_action(self) -> bool:
        return self.actions[0] == self.actions[1]


class Difference(NamedTuple):
    """Two policies in the states of one recording."""

    states: list[StateDifference]
    """All of them, in their order."""
    counterpart: Recording
    """What the other would do and attend to in these states."""
    page: Path

    @property
    def summary(self) -> str:
        """How far they agree, in one sentence."""
        agree = np.mean([state.same_action for state in self.states])
        apart = np.mean([state.distance for state in self.states])
        return (
            f"in {len(self.states)} states they take the same action in {agree:.0%}, and their "
            f"attention is {apart:.2f} apart on average (0 the same, 1 nothing in common)"
        )

    def largest(self, count: int) -> list[StateDifference]:
        """Return the states where they differ most: other actions first, then other attention."""
        return sorted(self.states, key=lambda state: (state.same_action, -state.distance))[:count]


def diff_policies(options: DiffOptions) -> TextOutput:
    """List the states in which two policies differ most.

    Raises:
        ValueError: see `difference` and `open_or_record`.
    """
    RunFolder.open(options.other_run)  # refuses early
    of_other = options if is_recording(options.path) else replace(options, checkpoint=None)
    with open_or_record(options, uses_policy=True) as source:
        result = difference(source.recording, replace(of_other, episodes=len(source.episodes)))
        lines = [state.line for state in result.largest(MOST_LISTED)]
        folder = result.counterpart.folder
        return TextOutput([*lines, result.summary, str(folder), str(result.page)], source.notes)


def difference(recording: Recording, options: DiffOptions) -> Difference:
    """Compare a recorded policy with another in the states of the recording.

    Args:
        recording: of one policy.
        options: `other_run` must have the same tokens; env, checkpoint and device are those of it.

    Raises:
        ValueError: the recording is empty, there is no such run, checkpoint, layer or head, it has
            other tokens or actions, or the folder is not empty or cannot be written.
    """
    episodes = nonempty_episodes(recording, options.episodes)
    choose_view(recording.header.maps, options.layer, options.head)  # refuses early

    from attention_agents.agents.runs.loaded_run import open_run

    with open_run(
        options.other_run, options.checkpoint, env=options.env, device=options.device
    ) as run:
        check_same_spaces(recording, run)
        folder = run.folder.make_recording_folder() if options.out is None else Path(options.out)
        record_in_same_states(run, episodes, folder, options.progress)
    counterpart = open_recording(folder)
    views = comparable_views(recording.header.maps, counterpart.header.maps, options)
    states = [
        state
        for pair in zip(episodes, counterpart.episodes, strict=True)
        for state in compare_episodes(*map(EpisodeColumns, pair, views))
    ]
    names = (recording.folder.name, f"{run.folder.path.name} in the same states")
    page = write_page(folder / PAGE, [recording, counterpart], names=names, episodes=len(episodes))
    return Difference(states, counterpart, page)


def record_in_same_states(
    run: LoadedRun, episodes: Sequence[Episode], folder: Path, progress: bool
) -> None:
    """Record what a policy would do and attend to in the states of recorded episodes."""
    from attention_agents.agents.rollouts.episodes import play_episodes
    from attention_agents.agents.rollouts.recorded_env import RecordedEnv

    env = RecordedEnv(episodes, run.model.observation_space, run.model.action_space)
    with (
        progress_bars(progress) as advance,
        closing(run.recorder(env, folder, episodes[0].header)) as recorder,
    ):
        actor = CountingActor(run.actor(), lambda: advance("steps replayed"))
        play_episodes([recorder], actor, distinct_seeds(episodes))


def comparable_views(
    maps: Sequence[MapSpec], other_maps: Sequence[MapSpec], options: MapOptions
) -> tuple[MapView, MapView]:
    """Choose what to show of two recordings: the same kind of map, a rollout only of both.

    Raises:
        ValueError: see `recording.map_view.choose_view`.
    """
    both = all(any(spec.derived == ROLLOUT for spec in specs) for specs in (maps, other_maps))
    first, second = (
        [spec for spec in specs if both or spec.derived != ROLLOUT] for specs in (maps, other_maps)
    )
    layer, head = options.layer, options.head
    return choose_view(first, layer, head), choose_view(second, layer, head)


def compare_episodes(
    columns: EpisodeColumns, other_columns: EpisodeColumns
) -> list[StateDifference]:
    """Return every step of an episode as two policies took it."""
    shares, other_shares = (
        weights / np.maximum(weights.sum(-1, keepdims=True), 1e-30)
        for weights in (columns.weights, other_columns.weights)
    )
    distances = 0.5 * np.abs(shares - other_shares).sum(-1)  # (T,)
    actions = zip(columns["action"].tolist(), other_columns["action"].tolist(), strict=True)
    return [
        StateDifference(columns.episode, t, float(distance), pair)
        for t, (distance, pair) in enumerate(zip(distances, actions, strict=True))
    ]


def distinct_seeds(episodes: Sequence[Episode]) -> list[int]:
    """Return the seeds of the episodes, or their numbers where the seeds are not all distinct."""
    seeds = [episode.seed for episode in episodes if episode.seed is not None]
    return seeds if len(set(seeds)) == len(episodes) else list(range(len(episodes)))


def check_same_spaces(recording: Recording, run: LoadedRun) -> None:
    """Refuse a policy that cannot act in the states of a recording.

    Raises:
        ValueError: its tokens or its actions are others, or it has no attention.
    """
    from attention_agents.policies.inspect.attention_modules import acting_role, token_layouts
    from attention_agents.recording.live.header import action_kind, action_sizes

    header, path, space = recording.header, run.folder.path, run.model.action_space
    layouts = token_layouts(run.model.policy)
    layout = layouts[acting_role(layouts)]
    if layout != header.layout:
        raise ValueError(
            f"the {len(layout)} tokens of the run {path} are not the {len(header.layout)} of "
            f"{recording.folder}; compare runs of one environment and one way to cut tokens"
        )
    if (action_kind(space), action_sizes(space)) != (header.action_kind, header.action_sizes):
        raise ValueError(f"the run {path} has other actions than {recording.folder}")
