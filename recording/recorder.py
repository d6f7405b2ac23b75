"""Recording what a policy attends to, while any loop steps its environment.

The maps are those of the pass that chose the action, as the tap heard them; recording changes no
action, no reward, no weight and no random stream.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, NamedTuple

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces

from envs.layout import TokenLayout, TokenPlaces
from envs.make import action_names
from envs.places import places_of
from policies.tap import AttentionTap, Pass
from recording.format import Header, MapSpec, Step
from recording.outputs import Heads, Judgement, action_kind, action_sizes, heads_of
from recording.view import mean_over_queries
from recording.writer import RecordingWriter

PACKAGES = ("gymnasium", "stable-baselines3", "torch", "numpy")


class RecordAttention(gym.Wrapper):
    """Record the episodes of an environment, and what the policy that plays it attends to.

    >>> env = RecordAttention(gym.make("CartPole-v1", render_mode="rgb_array"), model, "seen")
    ... # doctest: +SKIP
    >>> obs, info = env.reset(seed=1)  # doctest: +SKIP
    >>> action, _ = model.predict(obs)  # doctest: +SKIP
    >>> obs, reward, terminated, truncated, info = env.step(action)  # doctest: +SKIP
    >>> env.close()  # doctest: +SKIP

    Args:
        env: with `render_mode="rgb_array"` frames are recorded too.
        model: an SB3 algorithm (anything with a `policy`) whose policy has an `AttentionExtractor`.
        folder: of the new recording; made when missing, must be empty.
        full: store the whole matrix of maps in which every token asks; else their mean over queries.
        map_dtype: "uint8" (off by at most 1/510 of the largest weight of a row) or "float32".
        normalise: what the loop does to an observation before the policy sees it; observations are
            recorded raw, and a critic that is asked besides needs them normalised.
        index: which row of the policy's batch is this environment's.
        run: name of the run that the policy comes from, for the header.

    Raises:
        ValueError: the policy has no `AttentionExtractor`, or the folder is not empty or cannot be
            written.
    """

    def __init__(
        self,
        env: gym.Env,
        model: Any,
        folder: str | Path,
        *,
        full: bool = False,
        map_dtype: Literal["uint8", "float32"] = "uint8",
        normalise: Callable[[Any], Any] | None = None,
        index: int = 0,
        run: str = "",
    ):
        super().__init__(env)
        self._tap = AttentionTap(model.policy)
        self._role = next(role for role in self._tap.extractors if role != "critic")
        self._heads, self._full, self._index = heads_of(model.policy), full, index
        self._normalise = normalise or (lambda observation: observation)
        header = _header(env, self._tap, self._role, self._heads)
        header = header._replace(maps=self._maps(), map_dtype=map_dtype, run=run)
