"""Whether the maps of a trained agent can be believed: record it, score it, report.

Everything is kept beside the recording, where the replay pages find it.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from attention_agents.agents.algorithms.device import check_device
from attention_agents.agents.evaluation.evaluate import checkpoint_folder, choose_checkpoint
from attention_agents.agents.faithfulness.policy_reader import RecurrentReader, reader_of
from attention_agents.agents.faithfulness.recorded_policy import Subject, check_layout
from attention_agents.agents.faithfulness.replay_world import NotTheSame, remade, true_tokens
from attention_agents.agents.faithfulness.report import FaithfulnessReport, findings_of
from attention_agents.agents.faithfulness.scoring import SCORE_STEPS, score
from attention_agents.agents.progress_bar import progress_bars
from attention_agents.agents.rollouts.eval_env import check_env_trusted
from attention_agents.agents.rollouts.seeds import SEED
from attention_agents.agents.runs.checkpoint import LoadedPolicy, load_checkpoint
from attention_agents.agents.runs.record_run import record_run
from attention_agents.agents.runs.run_folder import RunFolder
from attention_agents.agents.training.train import torch_settings
from attention_agents.policies.inspect.token_removal import TokenRemoval, describe_removal
from attention_agents.recording.map_view import choose_view
from attention_agents.recording.reader import Recording, is_recording, open_recording
from attention_agents.recording.scores import write_summary

EPISODES = 10
"""Episodes to record where nobody says."""


def faithfulness(
    path: str | Path,
    *,
    env: str | None = None,
    checkpoint: str | None = None,
    episodes: int | None = None,
    seed: int | None = None,
    stochastic: bool = False,
    score_steps: int = SCORE_STEPS,
    device: str = "auto",
    progress: bool = False,
) -> FaithfulnessReport:
    """Score a recording of a run; given a run, record it first. Scores are written beside it.

    Args:
        path: a run folder, or a recording of a run.
        env: the run's environment, needed where the run names a module to import (`module:Id`).
        checkpoint: best, final or step_<n>; None takes the first of them that there is. That of a
            recording must be the one that was recorded.
        episodes, seed, stochastic: what is recorded, see `agents.runs.record_run.record_run`;
        of a run only. score_steps: states at which tokens are removed in the order of each map.
        device: where the policy lives, in torch's words or "auto".
        progress: show bars on stderr when it is a terminal.

    Raises:
        ValueError: the path is neither, an argument is out of range or goes only with a run, the
            recording is of another run or checkpoint, or it has nothing to score.
    """
    if score_steps < 2:
        raise ValueError(f"score_steps must be at least 2, got {score_steps}")
    check_device(device)
    path = Path(path)
    if is_recording(path):
        if episodes is not None or seed is not None or stochastic:
            raise ValueError(
                f"{path} is a recording: episodes, seed and stochastic go with a run, which is "
                "recorded first"
            )
        recording = open_recording(path)
        folder = run_of(recording)
    else:
        folder = RunFolder.open(path)
        played = record_run(
            folder.path,
            env=env,
            checkpoint=checkpoint,
            episodes=EPISODES if episodes is None else episodes,
            seed=SEED if seed is None else seed,
            stochastic=stochastic,
            device=device,
            progress=progress,
            tell=lambda words: print(words, file=sys.stderr),
        )
        recording = open_recording(played)
    name = choose_checkpoint(folder, checkpoint)
    loaded = load_checkpoint(checkpoint_folder(folder, name), device)
    check_env_trusted(loaded.config, env)
    facts = {"run": str(folder.path), "checkpoint": name}
    return report_on(recording, loaded, facts, score_steps, progress)


def report_on(
    recording: Recording,
    loaded: LoadedPolicy,
    facts: dict[str, Any],
    score_steps: int = SCORE_STEPS,
    progress: bool = False,
) -> FaithfulnessReport:
    """Score a recording of a policy, write the scores beside it, and return what they come to.

    Args:
        facts: what the report says of where the policy comes from.

    Raises:
        ValueError: see `faithfulness`.
    """
    whole = [episode for episode in recording.episodes if len(episode)]
    if not whole:
        raise ValueError(f"{recording.folder} holds no step: its recording was cut short")
    policy = loaded.model.policy
    check_layout(policy, whole[0])
    remembers = isinstance(reader_of(policy), RecurrentReader)
    maskable: list[np.ndarray] = []

    def subject_of(episode: Any) -> Subject:
        subject = Subject.of(policy, loaded.normalize, episode)
        maskable.append(subject.removal.maskable.cpu().numpy())
        return subject

    with ExitStack() as stack:
        stack.enter_context(torch_settings(loaded.config.threads))
        tick = stack.enter_context(progress_bars(progress))
        true, truth = _true(recording, loaded)
        tally = score(recording, subject_of, remembers, true, score_steps, tick)
    config, view = loaded.config, choose_view(recording.header.maps)
    known = {"env": config.env, "algo": config.algo, "trained_steps": loaded.model.num_timesteps}
    known |= {"encoder": config.to_json()["encoder"]}
    seeds = [episode.seed for episode in whole]
    report = FaithfulnessReport(
        recording=str(recording.folder),
        facts={**known, **facts, "seeds": seeds, "score_steps": score_steps},
        unit=tally.unit,
        removal=removal_of(policy, maskable[0]),
        drawn=view.spec.name if view.drawable else "",
        findings=findings_of(tally),
        steps=tally.steps,
        truth=truth,
        remembers=remembers,
    )
    write_summary(recording.folder, report.to_json())
    return report


def run_of(recording: Recording) -> RunFolder:
    """Return the run that a recording lies in, or else the one that it names.

    Raises:
        ValueError: neither is there.
    """
    folder = recording.folder.resolve()
    named = recording.header.run
    for place in (folder.parent.parent, *([Path(named)] if named else [])):
        if RunFolder(place).config_file.is_file():
            return RunFolder.open(place)
    raise ValueError(
        f"the run of the recording {recording.folder} is not found: it lies in none, and names "
        f"{named!r}; put it into the run's folder recordings/"
    )


def removal_of(policy: Any, maskable: np.ndarray) -> tuple[str, ...]:
    """Say for each part of the observation how its tokens are removed."""
    layout = next(iter(TokenRemoval(policy).extractors.values())).layout
    words = (
        describe_removal(group, bool(maskable[where.start]))
        for where, group in zip(layout.slices, layout.groups, strict=True)
    )
    return tuple(dict.fromkeys(words))


def _true(recording: Recording, loaded: LoadedPolicy) -> tuple[list[np.ndarray | None], str]:
    """Return what the world itself knows to matter, by episode, and why that is not known."""
    nothing: list[np.ndarray | None] = [None] * len(recording)
    with remade(loaded.config) as env:
        try:
            known = [true_tokens(env, each) if len(each) else None for each in recording.episodes]
        except NotTheSame as error:
            return nothing, str(error)
    if all(each is None for each in known):
        return nothing, "the environment does not say which tokens matter"
    return known, ""
