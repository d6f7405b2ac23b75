"""What if the agent had not seen it: a recorded step with tokens hidden, and what comes after.

The policy is asked again in the recorded state, without these tokens. Where the world can be made
again from its seed and the recorded actions, the episode is played on from there, and the two
futures go side by side on a page.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from attention_agents.agents.replay.render_recording import PAGE, whole_episodes
from attention_agents.agents.runs.record_run import next_folder
from attention_agents.recording.observation_images import parts_of
from attention_agents.recording.page.page import write_page
from attention_agents.recording.query.vocabulary import Contents
from attention_agents.recording.reader import Episode, Recording, open_recording
from attention_agents.recording.rendering.side_panel import action_names, action_text

if TYPE_CHECKING:
    from attention_agents.agents.faithfulness.hide_tokens import Hidden
    from attention_agents.agents.faithfulness.recorded_policy import Subject
    from attention_agents.agents.rollouts.episodes import Actor, Turn
    from attention_agents.agents.runs.checkpoint import LoadedPolicy


class Asked(NamedTuple):
    """Which tokens are hidden, and when."""

    word: str
    episode: int
    step: int

    @classmethod
    def read(cls, text: str) -> Asked:
        """Read TOKEN@STEP, or TOKEN@EPISODE:STEP; without an episode it is the first.

        >>> Asked.read("yellow key@12"), Asked.read("car 3@1:7")
        (Asked(word='yellow key', episode=0, step=12), Asked(word='car 3', episode=1, step=7))

        Raises:
            ValueError: it is neither.
        """
        word, _, when = text.rpartition("@")
        episode, _, step = when.rpartition(":")
        if not (word.strip() and step.isdecimal() and (episode.isdecimal() or not episode)):
            raise ValueError(f"say what to hide as TOKEN@STEP, such as 'key@12', got {text!r}")
        return cls(word.strip(), int(episode or 0), int(step))


class Counterfactual(NamedTuple):
    """What hiding tokens in one step changes."""

    asked: Asked
    tokens: tuple[str, ...]
    """Names of those that are hidden."""
    lines: list[str]
    """What the policy says with and without them."""
    recording: Recording | None
    """The episode as it goes on without them; None where its world cannot be made again."""
    page: Path | None
    """Both futures side by side."""
    notes: list[str]
    """Why there is no other future."""


def counterfactual(
    recording: Recording,
    hide: str,
    *,
    env: str | None = None,
    checkpoint: str | None = None,
    out: str | Path | None = None,
    device: str = "auto",
) -> Counterfactual:
    """Hide tokens from a recorded policy in one step, and play on from there.

    From that step on the likeliest actions are taken, whatever was done in the recording.

    Args:
        recording: of a run.
        hide: TOKEN@STEP or TOKEN@EPISODE:STEP; a token's number or name, a part of the observation,
            or what stands there, see `recording.query.vocabulary`.
        env: the run's environment, needed where the run names a module to import (`module:Id`).
        checkpoint: that was recorded; None takes best, or else final.
        out: folder of the other future, missing or empty; by default the next one in the run.
        device: where the policy lives.

    Raises:
        ValueError: no such token or step, the recording is of another run or checkpoint, or the
            folder is not empty or cannot be written.
    """
    asked = Asked.read(hide)
    episodes = whole_episodes(recording)
    if not asked.episode < len(episodes):
        raise ValueError(f"episode must be 0 to {len(episodes) - 1}, got {asked.episode}")
    episode = episodes[asked.episode]
    if not asked.step < len(episode):
        raise ValueError(f"step must be 0 to {len(episode) - 1} in this episode, got {asked.step}")
    tokens = tokens_meant(episode, asked)

    from attention_agents.agents.algorithms.device import check_device
    from attention_agents.agents.evaluation.evaluate import checkpoint_folder, choose_checkpoint
    from attention_agents.agents.faithfulness.hide_tokens import hidden
    from attention_agents.agents.faithfulness.replay_world import NotTheSame
    from attention_agents.agents.faithfulness.run_study import run_of
    from attention_agents.agents.rollouts.eval_env import check_env_trusted
    from attention_agents.agents.runs.checkpoint import load_checkpoint

    check_device(device)
    run = run_of(recording)
    loaded = load_checkpoint(checkpoint_folder(run, choose_checkpoint(run, checkpoint)), device)
    check_env_trusted(loaded.config, env)
    said = hidden(loaded, episode, asked.step, tokens)
    names = names_of(episode, asked.step, tokens)
    told = lines_of(episode, asked.step, said)
    target = next_folder(run) if out is None else Path(out)
    notes: list[str] = []
    try:
        play_on(loaded, episode, asked.step, tokens, target, notes)
    except NotTheSame as error:
        return Counterfactual(asked, names, told, None, None, [*notes, str(error)])
    other = open_recording(target)
    titles = (recording.folder.name, f"without {asked.word} at step {asked.step}")
    page = write_page(target / PAGE, [_alone(recording, episode), other], names=titles)
    return Counterfactual(asked, names, told, other, page, notes)


def tokens_meant(episode: Episode, asked: Asked) -> tuple[int, ...]:
    """Return the tokens that a word means at a step.

    Raises:
        ValueError: there is no such token, or none at that step.
    """
    found = np.flatnonzero(Contents(episode.header.layout).find(asked.word)(episode[asked.step]))
    if not len(found):
        raise ValueError(f"there is no {asked.word!r} at step {asked.step}")
    return tuple(found.tolist())


def names_of(episode: Episode, step: int, tokens: Sequence[int]) -> tuple[str, ...]:
    """Return what tokens are called at a step."""
    parts = parts_of(episode.header.layout)
    called = [name for part in parts for name in part.names_at(episode[step])]
    return tuple(called[i] for i in tokens)


def lines_of(episode: Episode, step: int, said: Hidden) -> list[str]:
    """Say what hiding changes: the action, and every choice before and after."""
    header = episode.header
    before, after = (np.atleast_2d(each)[0] for each in (said.before, said.distribution))
    now, then = action_text(header, episode[step].action), action_text(header, said.action)
    goes = "stays" if now == then else f"turns from {now} to"
    lines = [f"the action {goes} {then}; the policy moves by {said.change:.3g} ({said.unit})"]
    width = max(map(len, action_names(header)))
    for name, one, other in zip(action_names(header), before, after, strict=True):
        lines.append(f"  {name:{width}}  {one:8.3f} -> {other:8.3f}")
    if said.value is not None and episode[step].value is not None:
        lines.append(f"  {'value':{width}}  {episode[step].value:8.3f} -> {said.value:8.3f}")
    return lines


def play_on(
    loaded: LoadedPolicy,
    episode: Episode,
    step: int,
    tokens: Sequence[int],
    target: Path,
    notes: list[str],
) -> None:
    """Record an episode as it was up to a step, without some tokens in it, and on from there.

    Raises:
        NotTheSame: its world cannot be made again; then nothing is written.
        ValueError: the folder is not empty or cannot be written.
    """
    from attention_agents.agents.faithfulness.recorded_policy import Subject
    from attention_agents.agents.faithfulness.replay_world import replayed
    from attention_agents.agents.rollouts.episodes import GreedyActor, play
    from attention_agents.agents.rollouts.eval_env import make_rendering_env
    from attention_agents.agents.training.train import torch_settings
    from attention_agents.recording.live.recorder import RecordAttention

    with torch_settings(loaded.config.threads):
        env = make_rendering_env(loaded.config, notes.append)
        try:
            for t in replayed(env, episode):
                if t == step:
                    break
            subject = Subject.of(loaded.model.policy, loaded.normalize, episode)
            recorder = RecordAttention(
                env,
                loaded.model,
                target,
                normalise=loaded.normalize,
                run=episode.header.run,
                value_unit=episode.header.value_unit,
            )
        except BaseException:
            env.close()
            raise
        try:
            actor = Diverted(GreedyActor(loaded.answer), episode, step, tokens, subject)
            assert episode.seed is not None, "its world has been made again from it"
            play([recorder], actor, [episode.seed], lambda info, score: None)
        finally:
            recorder.close()


class Diverted:
    """An actor that does what was recorded up to a step, and is blind to some tokens in that step.

    Args:
        actor: asks the policy, at every step.
        episode: that is played again.
        step, tokens: what is hidden, and when.
        subject: the policy in that episode.
    """

    def __init__(
        self, actor: Actor, episode: Episode, step: int, tokens: Sequence[int], subject: Subject
    ):
        self._actor, self._subject = actor, subject
        self._taken, self._step, self._t = [episode[t].action[()] for t in range(step)], step, 0
        self._removed = np.zeros(len(episode.header.layout), bool)
        self._removed[list(tokens)] = True

    def act(self, turns: Sequence[Turn]) -> Sequence[Any]:
        t, self._t = self._t, self._t + 1
        if t == self._step:
            return self._blind(turns)
        actions = self._actor.act(turns)
        return actions if t > self._step else [self._taken[t]]

    def _blind(self, turns: Sequence[Turn]) -> Sequence[Any]:
        import torch

        from attention_agents.agents.rollouts.episodes import BATCH
        from attention_agents.policies.inspect.token_removal import RemovalVariants

        device = self._subject.policy.device
        removed = torch.as_tensor(self._removed, device=device).expand(BATCH, -1)
        with self._subject.removal.remove_tokens(
            RemovalVariants(torch.arange(BATCH, device=device), removed)
        ):
            return self._actor.act(turns)


def _alone(recording: Recording, episode: Episode) -> Recording:
    """Return a recording with one of its episodes."""
    one = Recording(recording.folder, recording.header)
    one.episodes = (episode,)
    return one
