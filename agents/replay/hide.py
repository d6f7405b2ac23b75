"""Hide tokens from a policy in one recorded step, and play on from there.

The policy is asked again in the recorded state, without these tokens. Where the environment can be
brought there again by its seed and the recorded actions, the episode is played on, and the two
futures go side by side on a page.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from attention_agents.agents.replay.options import HideOptions, TextOutput
from attention_agents.agents.replay.render_recording import PAGE
from attention_agents.agents.replay.source import nonempty_episodes, open_or_record
from attention_agents.recording.observation_images import group_slices
from attention_agents.recording.page.page import write_page
from attention_agents.recording.query.vocabulary import TokenVocabulary
from attention_agents.recording.reader import Episode, Recording, is_recording, open_recording
from attention_agents.recording.scene.actions import action_names, action_text

if TYPE_CHECKING:
    from attention_agents.agents.faithfulness.hide_tokens import HiddenTokenOutputs
    from attention_agents.agents.faithfulness.recorded_policy import (
        RecordedPolicy,
    )
    from attention_agents.agents.rollouts.episodes import Actor, EnvState
    from attention_agents.agents.runs.loaded_run import LoadedRun


class HiddenTokens(NamedTuple):
    """Which tokens are hidden, and when."""

    word: str
    episode: int
    step: int

    @classmethod
    def parse(cls, text: str) -> HiddenTokens:
        """Read TOKEN@STEP, or TOKEN@EPISODE:STEP; without an episode it is the first.

        >>> HiddenTokens.parse("yellow key@12")
        HiddenTokens(word='yellow key', episode=0, step=12)
        >>> HiddenTokens.parse("car 3@1:7")
        HiddenTokens(word='car 3', episode=1, step=7)

        Raises:
            ValueError: it is neither.
        """
        word, _, moment = text.rpartition("@")
        episode, _, step = moment.rpartition(":")
        if not (word.strip() and step.isdecimal() and (episode.isdecimal() or not episode)):
            raise ValueError(f"name what to hide as TOKEN@STEP, such as 'key@12', got {text!r}")
        return cls(word.strip(), int(episode or 0), int(step))


class Counterfactual(NamedTuple):
    """What hiding tokens in one step changes."""

    tokens: tuple[str, ...]
    """Names of those that are hidden."""
    effect: list[str]
    """What the policy does with and without them, in lines."""
    future: Recording | None
    """The episode as it goes on without them; None where its environment cannot be rebuilt."""
    page: Path | None
    """Both futures side by side."""
    notes: list[str]
    """Why there is no other future."""


def replay_without_tokens(options: HideOptions) -> TextOutput:
    """Hide tokens from a policy in one step; print what changes, and play on from there.

    Raises:
        ValueError: see `counterfactual` and `open_or_record`.
    """
    target = HiddenTokens.parse(options.hidden)
    if options.episodes is not None and is_recording(options.path):
        raise ValueError(
            "hide looks at one episode: name it as TOKEN@EPISODE:STEP, not by episodes"
        )
    with open_or_record(options, uses_policy=True) as source:
        result = counterfactual(source.recording, options)
        lines = [f"without {', '.join(result.tokens)} at step {target.step}:", *result.effect]
        if result.future is not None:
            was, goes_on = source.episodes[target.episode], result.future.episodes[0]
            lines += [
                f"as it was: {len(was)} steps, return {was.rewards.sum():.4g}",
                f"as it goes on without: {len(goes_on)} steps, return {goes_on.rewards.sum():.4g}",
                str(result.future.folder),
                str(result.page),
            ]
        return TextOutput(lines, source.notes + result.notes)


def counterfactual(recording: Recording, options: HideOptions) -> Counterfactual:
    """Hide tokens from a recorded policy in one step, and play on from there.

    From that step on the likeliest actions are taken, whatever was done in the recording.

    Args:
        recording: of a run.
        options: `hidden` names a token by its number or name, a part of the observation, or what
            stands there, see `recording.query.vocabulary`. `checkpoint` is that which was recorded.

    Raises:
        ValueError: no such token or step, the recording is of another run or checkpoint, or the
            folder is not empty or cannot be written.
    """
    target = HiddenTokens.parse(options.hidden)
    episode = _episode_of(recording, target)
    tokens = find_tokens(episode, target)

    from attention_agents.agents.faithfulness.hide_tokens import hide_tokens
    from attention_agents.agents.faithfulness.rebuilt_env import ReplayMismatchError
    from attention_agents.agents.faithfulness.recorded_policy import RecordedPolicy
    from attention_agents.agents.faithfulness.run_study import run_of_recording
    from attention_agents.agents.runs.loaded_run import open_run

    notes: list[str] = []
    folder = run_of_recording(recording)
    with open_run(folder, options.checkpoint, env=options.env, device=options.device) as run:
        recorded = RecordedPolicy.from_episode(run.model.policy, run.normalize, episode)
        change = hide_tokens(recorded, target.step, tokens)
        names = token_names(episode, target.step, tokens)
        effect = describe_change(episode, target.step, change)
        try:
            future = play_on(run, recorded, episode, target.step, tokens, options.out, notes)
        except ReplayMismatchError as error:
            return Counterfactual(names, effect, None, None, [*notes, str(error)])
    titles = (recording.folder.name, f"without {target.word} at step {target.step}")
    past = _with_one_episode(recording, episode)
    page = write_page(future.folder / PAGE, [past, future], names=titles)
    return Counterfactual(names, effect, future, page, notes)


def _episode_of(recording: Recording, target: HiddenTokens) -> Episode:
    episodes = nonempty_episodes(recording)
    if not target.episode < len(episodes):
        raise ValueError(f"episode must be 0 to {len(episodes) - 1}, got {target.episode}")
    episode = episodes[target.episode]
    if not target.step < len(episode):
        raise ValueError(f"step must be 0 to {len(episode) - 1} in this episode, got {target.step}")
    return episode


def find_tokens(episode: Episode, target: HiddenTokens) -> tuple[int, ...]:
    """Return the tokens that a word means at a step.

    Raises:
        ValueError: there is no such token, or none at that step.
    """
    matches = TokenVocabulary(episode.header.layout).find_tokens(target.word)(episode[target.step])
    if not matches.any():
        raise ValueError(f"there is no {target.word!r} at step {target.step}")
    return tuple(np.flatnonzero(matches).tolist())


def token_names(episode: Episode, step: int, tokens: Sequence[int]) -> tuple[str, ...]:
    """Return what tokens are called at a step."""
    parts = group_slices(episode.header.layout)
    names = [name for part in parts for name in part.names_at(episode[step])]
    return tuple(names[i] for i in tokens)


def describe_change(episode: Episode, step: int, change: HiddenTokenOutputs) -> list[str]:
    """Return in lines what hiding changes: the action, and every choice before and after."""
    header = episode.header
    before, after = (np.atleast_2d(row)[0] for row in (change.before, change.distribution))
    now, then = action_text(header, episode[step].action), action_text(header, change.action)
    verb = "stays" if now == then else f"turns from {now} to"
    names = action_names(header)
    width = max(map(len, names))
    return [
        f"the action {verb} {then}; the policy moves by {change.distance:.3g} ({change.unit})",
        *(
            f"  {name:{width}}  {old:8.3f} -> {new:8.3f}"
            for name, old, new in zip(names, before, after, strict=True)
        ),
        *(
            [f"  {'value':{width}}  {episode[step].value:8.3f} -> {change.value:8.3f}"]
            if change.value is not None and episode[step].value is not None
            else []
        ),
    ]


def play_on(
    run: LoadedRun,
    recorded: RecordedPolicy,
    episode: Episode,
    step: int,
    tokens: Sequence[int],
    out: str | None,
    notes: list[str],
) -> Recording:
    """Record an episode as it was up to a step, without some tokens in it, and on from there.

    Raises:
        ReplayMismatchError: its environment cannot be rebuilt; then nothing is written.
        ValueError: the folder is not empty or cannot be written.
    """
    from attention_agents.agents.faithfulness.rebuilt_env import replay_actions
    from attention_agents.agents.rollouts.episodes import play_episodes

    env = run.make_rendering_env(notes.append)
    for t in replay_actions(env, episode):
        if t == step:
            break
    folder = run.folder.make_recording_folder() if out is None else Path(out)
    actor = CounterfactualActor(run.actor(), episode, step, tokens, recorded)
    assert episode.seed is not None, "the environment was rebuilt from it"
    with closing(run.recorder(env, folder)) as recorder:
        play_episodes([recorder], actor, [episode.seed])
    return open_recording(folder)


class CounterfactualActor:
    """An actor that does what was recorded up to a step, and is blind to some tokens in that step.

    Args:
        actor: asks the policy, at every step.
        episode: that is played again.
        step, tokens: what is hidden, and when.
        recorded: the policy in that episode.
    """

    def __init__(
        self,
        actor: Actor,
        episode: Episode,
        step: int,
        tokens: Sequence[int],
        recorded: RecordedPolicy,
    ):
        self._actor, self._recorded = actor, recorded
        self._recorded_actions = [episode[t].action[()] for t in range(step)]
        self._step, self._t = step, 0
        self._removed = np.zeros(len(episode.header.layout), bool)
        self._removed[list(tokens)] = True

    def act(self, env_states: Sequence[EnvState]) -> Sequence[Any]:
        t, self._t = self._t, self._t + 1
        if t == self._step:
            return self._act_without_tokens(env_states)
        actions = self._actor.act(env_states)
        return actions if t > self._step else [self._recorded_actions[t]]

    def _act_without_tokens(self, env_states: Sequence[EnvState]) -> Sequence[Any]:
        import torch

        from attention_agents.agents.rollouts.episodes import BATCH_SIZE
        from attention_agents.policies.inspect.token_removal import RemovalVariants

        device = self._recorded.policy.device
        removed = torch.as_tensor(self._removed, device=device).expand(BATCH_SIZE, -1)  # (BATCH, N)
        variants = RemovalVariants(torch.arange(BATCH_SIZE, device=device), removed)
        with self._recorded.removal.remove_tokens(variants):
            return self._actor.act(env_states)


def _with_one_episode(recording: Recording, episode: Episode) -> Recording:
    copy = Recording(recording.folder, recording.header)
    copy.episodes = (episode,)
    return copy
