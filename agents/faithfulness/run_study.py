"""Whether the maps of a trained agent explain it: record it, rate its maps, report.

Everything is written beside the recording, where the replay pages find it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, get_args

from attention_agents.agents.faithfulness.rebuilt_env import GroundTruth, find_ground_truth
from attention_agents.agents.faithfulness.recorded_policy import Truth, check_layout
from attention_agents.agents.faithfulness.report import FaithfulnessReport, rate_maps
from attention_agents.agents.faithfulness.scoring import SCORE_STEPS, score_recording
from attention_agents.agents.progress_bar import progress_bars
from attention_agents.agents.rollouts.seeds import SEED, episode_seeds
from attention_agents.agents.runs.checkpoint import LoadedPolicy
from attention_agents.agents.runs.loaded_run import open_run
from attention_agents.agents.runs.record_run import record_episodes
from attention_agents.agents.runs.run_folder import RunFolder
from attention_agents.agents.runs.sb3_zip.zip_run import is_sb3_zip
from attention_agents.policies.inspect.attention_modules import attention_modules
from attention_agents.policies.inspect.policy_adapter import adapter_of
from attention_agents.recording.leave_one_out import write_faithfulness
from attention_agents.recording.map_view import choose_view
from attention_agents.recording.reader import Recording, is_recording, open_recording

EPISODES = 10
"""Default number of episodes to record."""


def study_faithfulness(
    path: str | Path,
    *,
    env: str | None = None,
    checkpoint: str | None = None,
    episodes: int | None = None,
    seed: int | None = None,
    stochastic: bool = False,
    score_steps: int = SCORE_STEPS,
    truth: Truth = "margin",
    device: str = "auto",
    progress: bool = False,
) -> FaithfulnessReport:
    """Rate the maps of a recording of a run; given a run, record it first.

    Args:
        path: a run folder, a recording of a run, or a zip file of Stable-Baselines3.
        env: the run's environment, needed where the run names a module to import (`module:Id`), and
            for a zip file.
        checkpoint: best, final or step_<n>; None takes the first of them that there is. That of a
            recording must be the one that was recorded.
        episodes, seed, stochastic: what is recorded, see `agents.runs.record_run`; of a run only.
        score_steps: states at which tokens are removed in the order of each map.
        truth: what a map is held against: "margin", how much less the action taken is preferred
            without a token, or "kl", how far the whole output moves.
        device: where the policy lives, in torch's words or "auto".
        progress: show bars on stderr when it is a terminal.

    Raises:
        ValueError: the path is neither, an argument is out of range or goes only with a run, the
            recording is of another run or checkpoint, or it has nothing to score.
    """
    path = Path(path)
    recording = open_recording(path) if is_recording(path) else None
    recorded_anew = episodes is not None or seed is not None or stochastic
    _check_arguments(path, recording is not None, recorded_anew, score_steps, truth)
    source: RunFolder | Path = path if recording is None else run_of_recording(recording)
    seeds = episode_seeds(
        SEED if seed is None else seed, EPISODES if episodes is None else episodes
    )
    with open_run(source, checkpoint, env=env, device=device) as run:
        warn = (lambda text: print(text, file=sys.stderr)) if recording is None else str
        env_of_run = run.make_rendering_env(warn)
        if recording is None:
            recorded = record_episodes(run, seeds, stochastic, None, progress, env=env_of_run)
            recording = open_recording(recorded)
        check_recording(recording, run.model.policy)
        facts: dict[str, Any] = {"run": str(run.folder.path), "checkpoint": run.checkpoint}
        if isinstance(source, Path) and is_sb3_zip(source):
            facts["encoder"] = None  # which one a zip holds, no configuration says
        ground_truth = find_ground_truth(env_of_run, recording)
        return report_faithfulness(
            recording, run.policy, ground_truth, facts, score_steps, progress, truth
        )


def _check_arguments(
    path: Path, is_recorded: bool, recorded_anew: bool, score_steps: int, truth: str
) -> None:
    """Refuse arguments that are out of range or do not go together.

    Raises:
        ValueError: they do not.
    """
    if truth not in get_args(Truth):
        raise ValueError(f"truth must be one of {', '.join(get_args(Truth))}, got {truth!r}")
    if score_steps < 2:
        raise ValueError(f"score_steps must be at least 2, got {score_steps}")
    if is_recorded and recorded_anew:
        raise ValueError(
            f"{path} is a recording: episodes, seed and stochastic go with a run, which is "
            "recorded first"
        )


def report_faithfulness(
    recording: Recording,
    loaded: LoadedPolicy,
    ground_truth: GroundTruth,
    facts: dict[str, Any],
    score_steps: int = SCORE_STEPS,
    progress: bool = False,
    truth: Truth = "margin",
) -> FaithfulnessReport:
    """Rate the maps of a recorded policy, write the scores beside the recording, and report.

    Args:
        ground_truth: which tokens matter by the environment.
        facts: where the policy comes from, for the report.
        truth: see `study_faithfulness`.

    Raises:
        ValueError: see `study_faithfulness`.
    """
    check_recording(recording, loaded.model.policy)
    with progress_bars(progress) as on_progress:
        scorer = score_recording(
            *(recording, loaded, ground_truth, score_steps, truth, on_progress)
        )
    config, maps = loaded.config, recording.header.maps
    view = choose_view(maps) if maps else None
    report = FaithfulnessReport(
        recording=str(recording.folder),
        facts={
            "env": config.env,
            "algo": config.algo,
            "trained_steps": loaded.model.num_timesteps,
            "encoder": config.to_json()["encoder"],
            **facts,
            "seeds": [episode.seed for episode in recording.episodes if len(episode)],
            "score_steps": score_steps,
            "truth_kind": truth,
        },
        scorer=scorer,
        drawn="" if view is None or not view.drawable else view.spec.name,
        ratings=rate_maps(scorer),
        truth=ground_truth.reason,
        is_recurrent=adapter_of(loaded.model.policy).is_recurrent,
        has_attention=bool(attention_modules(loaded.model.policy)),
    )
    write_faithfulness(recording.folder, report.to_json())
    return report


def check_recording(recording: Recording, policy: Any) -> None:
    """Refuse a recording without a step, or with other tokens than the policy's.

    Raises:
        ValueError: it is one of these.
    """
    first = next((episode for episode in recording.episodes if len(episode)), None)
    if first is None:
        raise ValueError(f"{recording.folder} holds no step: its recording was cut short")
    check_layout(policy, first)


def run_of_recording(recording: Recording) -> RunFolder | Path:
    """Return the run that a recording lies in, or else the one that it names.

    In place of a run it can be the zip file of Stable-Baselines3 that was recorded.

    Raises:
        ValueError: neither is there.
    """
    parent, name = recording.folder.resolve().parent.parent, recording.header.run
    folders = (parent, *([Path(name)] if name else []))
    for folder in folders:
        if RunFolder(folder).config_file.is_file():
            return RunFolder.open(folder)
    for folder in folders:
        if is_sb3_zip(f"{folder}.zip"):
            return Path(f"{folder}.zip")
    raise ValueError(
        f"the run of the recording {recording.folder} is not found: it lies in none, and names "
        f"{name!r}; put it into the run's folder recordings/"
    )
