"""Recording what a policy attends to while Stable-Baselines3 trains it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnvWrapper

from attention_agents.recording.live.recorder import RecordAttention


class AttentionRecorderCallback(BaseCallback):
    """Record every k-th episode of the first environment during SB3's `learn`.

        model.learn(100_000, callback=AttentionRecorderCallback("seen", every_episodes=50))

    The first episode is recorded, then every k-th after it. Frames are recorded where the
    environments were made with `render_mode="rgb_array"`. Training stays bit for bit as without it.
    Among several callbacks put it last: a policy that was asked by an evaluation in between is then
    not taken for the policy that acts.

    Args:
        folder: of the new recording; made when missing, must be empty.
        every_episodes: k.
        full: store whole maps where every token asks; else their mean over queries.

    Raises:
        ValueError: every_episodes is below 1; or, when training begins, the environments are not in
            a `DummyVecEnv`, the policy is of an unknown kind, or the folder is not empty.
    """

    def __init__(self, folder: str | Path, every_episodes: int = 1, *, full: bool = False):
        super().__init__()
        if every_episodes < 1:
            raise ValueError(f"every_episodes must be at least 1, got {every_episodes}")
        self.folder, self.every_episodes, self.full = Path(folder), every_episodes, full
        self._recorder: _SomeEpisodes | None = None

    def _on_training_start(self) -> None:
        vec_env = self.training_env
        while isinstance(vec_env, VecEnvWrapper):
            vec_env = vec_env.venv
        if not isinstance(vec_env, DummyVecEnv):
            raise ValueError(
                "AttentionRecorderCallback needs the environments in a DummyVecEnv, got "
                f"{type(vec_env).__name__}, which keeps them in other processes"
            )
        normalize = self.model.get_vec_normalize_env()
        self._recorder = _SomeEpisodes(
            vec_env.envs[0],
            self.model,
            self.folder,
            every_episodes=self.every_episodes,
            full=self.full,
            normalize=None if normalize is None else normalize.normalize_obs,
            value_unit="normalized" if normalize is not None and normalize.norm_reward else "",
        )
        vec_env.envs[0] = self._recorder
        self._vec_env = vec_env
        starts = self.model._last_episode_starts
        if starts is not None and starts[0]:  # learn() resets environments before it calls this
            parts: dict[Any, Any] = {key: rows[0] for key, rows in vec_env.buf_obs.items()}
            self._recorder.begin_episode(parts.get(None, parts))  # SB3's key for what is not a dict

    def _on_rollout_start(self) -> None:
        assert self._recorder is not None
        self._recorder.attach_tap(True)

    def _on_step(self) -> bool:
        assert self._recorder is not None
        self._recorder.drop_latest_pass()
        return True

    def _on_rollout_end(self) -> None:
        assert self._recorder is not None
        self._recorder.attach_tap(False)  # the passes of the gradient steps are nobody's actions

    def _on_training_end(self) -> None:
        assert self._recorder is not None
        self._vec_env.envs[0] = self._recorder.env
        self._recorder.finish()
        self._recorder = None


class _SomeEpisodes(RecordAttention):
    """Record every k-th episode, listening only while a policy acts in it."""

    def __init__(
        self, env: gym.Env, model: Any, folder: Path, *, every_episodes: int, **options: Any
    ):
        super().__init__(env, model, folder, **options)
        self._every_episodes, self._episode, self._acting = every_episodes, -1, False
        self._listener.detach()

    def begin_episode(self, obs: Any) -> None:
        """Take note that an episode has begun with this observation."""
        self._episode += 1
        is_recorded = self._episode % self._every_episodes == 0
        self._snapshot = self._take_snapshot(obs) if is_recorded else None
        self.attach_tap(self._acting)

    def attach_tap(self, acting: bool) -> None:
        """Attach the tap while the policy acts in an episode that is recorded."""
        self._acting = acting
        self._listener.detach()
        self._listener.take()
        if acting and self._snapshot is not None:
            self._listener.attach()

    def drop_latest_pass(self) -> None:
        """Drop the latest pass: what comes next chooses the next action."""
        self._listener.take()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        self._end_episode()
        obs, info = self.env.reset(seed=seed, options=options)
        self._seed = seed
        self.begin_episode(obs)
        return obs, info

    def step(self, action: Any):
        return super().step(action) if self._snapshot is not None else self.env.step(action)
