"""What a recording says of itself: the maps of a policy, and the environment that it plays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone
from importlib import metadata
from typing import Any, Literal

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import AtariPreprocessing

from attention_agents.envs.make import action_names
from attention_agents.envs.tokens.layout import TokenLayout
from attention_agents.policies.inspect.attention_modules import seats_of
from attention_agents.policies.inspect.tap import AttentionMap
from attention_agents.recording.format import Header
from attention_agents.recording.live.policy_outputs import Heads, action_kind, action_sizes
from attention_agents.recording.map_spec import MEAN_OVER_QUERIES, MapSpec

PACKAGES = ("gymnasium", "stable-baselines3", "torch", "numpy")


def map_spec(one: AttentionMap, full: bool) -> MapSpec:
    """Describe how the maps of a module are stored.

    Args:
        one: a map as the module tells it.
        full: store maps from tokens to tokens whole.
    """
    _, heads, queries, keys = one.weights.shape
    square = one.queries == one.keys == "tokens" and one.normalised_over != "queries"
    derived = square and not full
    return MapSpec(
        name=one.name,
        role=one.role,
        layer=one.layer,
        heads=heads,
        queries=one.queries,
        normalised_over=one.normalised_over,  # type: ignore[arg-type]
        derived=MEAN_OVER_QUERIES if derived else "",
        asker=one.asker,
        keys=one.keys,
        extra_keys=one.extra_keys,
        key_count=keys,
        query_count=1 if derived else queries,
        part=one.part,
        mechanism=one.mechanism,
        soft=one.soft is not None,
        head_weights=one.heads is not None,
    )


def critics_maps(policy: Any, maps: Sequence[MapSpec]) -> tuple[MapSpec, ...]:
    """Return the maps of a critic with an extractor of its own, by those of the actor's.

    Stable-Baselines3 makes both extractors alike.
    """
    own = {seat.name for seat in seats_of(policy) if seat.role == "critic" and seat.inside}
    critics = (
        replace(spec, role="critic", name=f"critic/{spec.name.partition('/')[2]}") for spec in maps
    )
    return tuple(spec for spec in critics if spec.name in own)


def header_of(
    env: gym.Env,
    layout: TokenLayout,
    maps: tuple[MapSpec, ...],
    heads: Heads,
    map_dtype: Literal["uint8", "float32"],
) -> Header:
    space, observed = env.action_space, env.observation_space
    return Header(
        env_id=env.spec.id if env.spec is not None else type(env.unwrapped).__name__,
        layout=layout,
        maps=maps,
        observation_keys=tuple(observed.spaces) if isinstance(observed, spaces.Dict) else ("",),
        action_kind=action_kind(space),
        action_sizes=action_sizes(space),
        action_names=action_names(env),
        action_bounds=_bounds(space),
        distribution=heads.distribution,
        picture="frame" if env.render_mode == "rgb_array" else "observation",
        fps=float(np.clip((env.metadata.get("render_fps") or 15) / _frame_skip(env), 1, 1000)),
        map_dtype=map_dtype,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        versions={name: metadata.version(name) for name in PACKAGES},
    )


def _frame_skip(env: gym.Env) -> int:
    """Return how many frames a step of `AtariPreprocessing` takes, 1 without it."""
    while isinstance(env, gym.Wrapper):
        if isinstance(env, AtariPreprocessing):
            return env.frame_skip
        env = env.env
    return 1


def _bounds(space: gym.Space) -> tuple[tuple[float, float], ...] | None:
    if not isinstance(space, spaces.Box) or not space.is_bounded():
        return None
    pairs = zip(np.ravel(space.low).tolist(), np.ravel(space.high).tolist(), strict=True)
    return tuple((float(low), float(high)) for low, high in pairs)
