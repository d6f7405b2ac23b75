"""Atari 2600 through ale-py: four small gray frames a step, as in Mnih et al. 2015.

Source: Mnih et al. 2015, Human-level control through deep reinforcement learning, methods,
    https://doi.org/10.1038/nature14236; Machado et al. 2018, https://arxiv.org/abs/1709.06009.
Differs: FIRE starts games that wait for it, as in the wrappers of Stable-Baselines3; without it a
    greedy policy can stand still forever.
"""

from __future__ import annotations

from typing import Any, SupportsFloat

import ale_py
import cv2  # noqa: F401  (AtariPreprocessing needs it: its absence shows here, not later)
import gymnasium as gym
import numpy as np
from gymnasium import spaces, wrappers

from attention_agents.envs.adapters.adapter import Adapter
from attention_agents.envs.token_places import PicturePlaces

SIDE = 84
"""Height and width of the observed picture, in pixels."""
FRAME_SKIP = 4
"""Frames per step; the same action is held, and the last two frames are merged."""
NOOP_MAX = 30
"""Most frames that a game idles at its beginning."""
STACK = 4
"""Past frames in one observation."""


def reward_sign(reward: SupportsFloat) -> float:
    """Return -1, 0 or 1."""
    return float(np.sign(float(reward)))


class FireOnReset(gym.Wrapper):
    """Press FIRE after a reset, in games that wait for it."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        self.env.reset(seed=seed, options=options)
        obs, _, terminated, truncated, info = self.env.step(1)
        return self.env.reset(options=options) if terminated or truncated else (obs, info)


class EpisodePerLife(gym.Wrapper):
    """End the episode when a life is lost; go on with the game at the next reset, until it is over.

    A reset with a seed always starts a new game, so that it determines what comes.
    """

    def __init__(self, env: gym.Env):
        super().__init__(env)
        self._console: ale_py.ALEInterface = env.get_wrapper_attr("ale")
        self._lives = 0
        self._game_over = True

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        if self._game_over or seed is not None:
            obs, info = self.env.reset(seed=seed, options=options)
        else:
            obs, _, terminated, truncated, info = self.env.step(0)
            if terminated or truncated:
                obs, info = self.env.reset(options=options)
        self._game_over = False
        self._lives = self._console.lives()
        return obs, info

    def step(self, action: Any):
        obs, reward, terminated, truncated, info = self.env.step(action)
        self._game_over = terminated or truncated
        lives = self._console.lives()
        lost, self._lives = lives < self._lives, lives
        return obs, reward, terminated or lost, truncated, info


class AtariAdapter(Adapter):
    """Observation: (4, 84, 84) uint8, oldest frame first; patches stand on the raw RGB frame."""

    def register_envs(self) -> None:
        gym.register_envs(ale_py)

    def make_kwargs(self, env_kwargs: dict[str, Any]) -> dict[str, Any]:
        if env_kwargs.get("obs_type") == "ram" or "frameskip" in env_kwargs:
            return {}
        return {"frameskip": 1}  # AtariPreprocessing skips frames itself

    def wrap_env(self, env: gym.Env, training: bool) -> gym.Env:
        if env.get_wrapper_attr("_obs_type") == "ram":  # the console's memory: no picture
            return env
        if not isinstance(env.action_space, spaces.Discrete):
            raise ValueError(
                "pictures of Atari games are made for actions by number, so continuous=True goes "
                "only with obs_type='ram'"
            )
        idles = self.action_names(env)[0] == "NOOP"  # else games begin without idle steps
        env = wrappers.AtariPreprocessing(
            env, NOOP_MAX if idles else 0, frame_skip=FRAME_SKIP, screen_size=SIDE
        )
        if training:
            env = wrappers.RecordEpisodeStatistics(env)  # returns of whole games, unclipped
            env = EpisodePerLife(env)
        if "FIRE" in self.action_names(env)[1:2]:
            env = FireOnReset(env)
        if training:
            env = wrappers.TransformReward(env, reward_sign)
        env = wrappers.FrameStackObservation(env, STACK)
        return PicturePlaces(env, (SIDE, SIDE))

    def action_names(self, env: gym.Env) -> tuple[str, ...]:
        return tuple(env.get_wrapper_attr("get_action_meanings")())


ADAPTER = AtariAdapter()
