"""A trained run, opened to act: its policy, its environments and its settings."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import gymnasium as gym
import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm

from attention_agents.agents.algorithms.device import check_device, torch_settings
from attention_agents.agents.config.run_config import RunConfig
from attention_agents.agents.rollouts.episodes import (
    Actor,
    GreedyActor,
    SamplingActor,
)
from attention_agents.agents.rollouts.eval_env import (
    check_env_trusted,
    make_eval_env,
    make_rendering_env,
)
from attention_agents.agents.rollouts.policy_calls import Observation, PolicyInput, PolicyOutput
from attention_agents.agents.runs.checkpoint import LoadedPolicy, load_checkpoint
from attention_agents.agents.runs.run_folder import RunFolder
from attention_agents.agents.runs.sb3_zip.zip_run import (
    check_observations,
    is_sb3_zip,
    load_zip_policy,
)
from attention_agents.envs.random_streams import BOUND
from attention_agents.envs.success import SuccessRule, success_rule

if TYPE_CHECKING:
    from attention_agents.recording.header import Header
    from attention_agents.recording.live.recorder import RecordAttention
    from attention_agents.recording.live.step_evidence import EvidenceBaseline

EnvType = TypeVar("EnvType", bound=gym.Env)


@dataclass(frozen=True)
class LoadedRun:
    """One checkpoint of a run, as `open_run` gives it."""

    folder: RunFolder
    checkpoint: str
    """best, final or step_<n>; of a zip file of Stable-Baselines3 its name."""
    policy: LoadedPolicy
    _resources: ExitStack
    """What is closed when the run is."""

    @property
    def config(self) -> RunConfig:
        return self.policy.config

    @property
    def model(self) -> BaseAlgorithm:
        """The algorithm with its trained weights, without an environment."""
        return self.policy.model

    @property
    def success_rule(self) -> SuccessRule:
        """What success means in the run's environment."""
        return success_rule(self.config.env)

    def normalize(self, observation: Observation) -> Observation:
        """Return the observation as the policy was trained to see it."""
        return self.policy.normalize(observation)

    def actor(self, stochastic: bool = False) -> Actor:
        """Return an actor that takes the most likely actions, or samples them."""
        return (
            sampling_actor(self.policy) if stochastic else GreedyActor(self.policy.compute_actions)
        )

    def make_eval_env(self) -> gym.Env:
        """Make an environment that the run is evaluated in; it is closed with the run."""
        return self._close_with_run(make_eval_env(self.config))

    def make_rendering_env(self, warn: Callable[[str], Any] = warnings.warn) -> gym.Env:
        """Make one that also gives frames, where it has them; it is closed with the run.

        Args:
            warn: called with a line on why there are no frames, when they cannot be drawn here.
        """
        return self._close_with_run(make_rendering_env(self.config, warn))

    def recorder(self, env: gym.Env, target: Path, world: Header | None = None) -> RecordAttention:
        """Wrap an environment so that evidence and attention are recorded; closed with the run.

        Args:
            env: that the policy acts in.
            target: folder of the recording, missing or empty.
            world: header of the recording that `env` plays again; None for a real environment.

        Raises:
            ValueError: the folder is not empty or cannot be written, or the policy is of an
                unknown kind.
        """
        from attention_agents.recording.live.recorder import RecordAttention

        return self._close_with_run(
            RecordAttention(
                env,
                self.model,
                target,
                baseline=self.evidence_baseline,
                normalize=self.normalize,
                run=str(self.folder.path),
                value_unit="normalized" if self.config.normalize_reward else "",
                world=world,
            )
        )

    @cached_property
    def evidence_baseline(self) -> EvidenceBaseline | None:
        """What evidence is compared with: each token's mean over states of episodes that are played
        for it when this is first asked for. None where the policy is of an unknown kind."""
        from attention_agents.agents.runs.evidence_baseline import measure_baseline

        with closing(make_eval_env(self.config)) as env:
            return measure_baseline(self.model.policy, env, self.actor(), self.success_rule)

    def _close_with_run(self, env: EnvType) -> EnvType:
        self._resources.callback(env.close)
        return env


@contextmanager
def open_run(
    run: RunFolder | str | Path,
    checkpoint: str | None = None,
    *,
    env: str | None = None,
    device: str = "auto",
) -> Iterator[LoadedRun]:
    """Load a checkpoint of a run, and use the run's torch settings until the end.

        with open_run("runs/ppo/CartPole-v1_1") as run:
            play_episodes([run.make_eval_env()], run.actor(), [7], run.success_rule)

    Args:
        run: its folder; or a zip file of Stable-Baselines3, whose recordings and evaluations go
            into a folder of its name.
        checkpoint: best, final or step_<n>; None takes the first of best, final and the latest step
            that there is.
        env: the run's environment, needed where the run names a module to import (`module:Id`), and
            for a zip file.
        device: where the policy lives, in torch's words or "auto".

    Raises:
        ValueError: there is no such device, run or checkpoint, or `env` is needed or wrong.
        PluginError: the run has a plugin that is not imported.
    """
    check_device(device)
    if not isinstance(run, RunFolder) and is_sb3_zip(run):
        with _open_zip(Path(run), env, device, checkpoint) as loaded:
            yield loaded
        return
    folder = run if isinstance(run, RunFolder) else RunFolder.open(run)
    name = folder.choose_checkpoint(checkpoint)
    policy = load_checkpoint(folder.checkpoint(name), device)
    check_env_trusted(policy.config, env)
    with torch_settings(policy.config.threads), ExitStack() as resources:
        yield LoadedRun(folder, name, policy, resources)


@contextmanager
def _open_zip(
    path: Path, env: str | None, device: str, checkpoint: str | None
) -> Iterator[LoadedRun]:
    if checkpoint is not None:
        raise ValueError(f"{path} is one model: leave --checkpoint {checkpoint} out")
    policy = load_zip_policy(path, env, device)
    with torch_settings(policy.config.threads), ExitStack() as resources:
        run = LoadedRun(RunFolder(path.with_suffix("")), path.stem, policy, resources)
        check_observations(policy.model.observation_space, run.make_eval_env(), policy.config.env)
        yield run


def sampling_actor(policy: LoadedPolicy) -> SamplingActor:
    """Return an actor that draws from the policy's distribution."""

    def sample_actions(inputs: PolicyInput) -> PolicyOutput:
        # dqn and qrdqn explore with the action space, whose stream is neither torch's nor numpy's
        policy.model.action_space.seed(int(np.random.randint(BOUND)))  # noqa: NPY002
        return policy.compute_actions(inputs, deterministic=False)

    return SamplingActor(sample_actions)
