"""The header of a recording: the maps of a policy, and the environment that it plays."""

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
from attention_agents.envs.tokens.spaces import TokenBox
from attention_agents.envs.tokens.specs import Features
from attention_agents.policies.inspect.action_distribution import choice_sizes
from attention_agents.policies.inspect.attention_modules import attention_modules
from attention_agents.policies.inspect.tap import AttentionMap
from attention_agents.recording.header import ActionKind, Distribution, Header
from attention_agents.recording.live.step_evidence import StepEvidence
from attention_agents.recording.map_spec import MEAN_OVER_QUERIES, MapSpec
from attention_agents.recording.scene.actions import default_names

PACKAGES = ("gymnasium", "stable-baselines3", "torch", "numpy")


def map_spec(attention: AttentionMap, full: bool) -> MapSpec:
    """Describe how the maps of a module are stored.

    Args:
        attention: a map of the module.
        full: store maps from tokens to tokens as whole matrices.
    """
    _, heads, queries, keys = attention.weights.shape
    square = attention.queries == attention.keys == "tokens"
    derived = square and attention.normalized_over != "queries" and not full
    copied = ("name", "role", "layer", "queries", "keys", "extra_keys", "part", "mechanism")
    copied += ("normalized_over", "query_source")
    return MapSpec(
        **{field: getattr(attention, field) for field in copied},
        heads=heads,
        derived=MEAN_OVER_QUERIES if derived else "",
        key_count=keys,
        query_count=1 if derived else queries,
        soft=attention.soft is not None,
        head_weights=attention.heads is not None,
    )


def critic_maps(policy: Any, maps: Sequence[MapSpec]) -> tuple[MapSpec, ...]:
    """Return the maps of a critic with an extractor of its own, by those of the actor's.

    Stable-Baselines3 makes both extractors alike.
    """
    modules = attention_modules(policy)
    names = {entry.name for entry in modules if entry.role == "critic" and entry.in_extractor}
    specs = (
        replace(spec, role="critic", name=f"critic/{spec.name.partition('/')[2]}") for spec in maps
    )
    return tuple(spec for spec in specs if spec.name in names)


def build_header(
    env: gym.Env,
    layout: TokenLayout,
    maps: tuple[MapSpec, ...],
    distribution: Distribution,
    map_dtype: Literal["uint8", "float32"],
    evidence: StepEvidence | None = None,
) -> Header:
    """Return the header of a recording, but for the names of algorithm and run."""
    actions, observations = env.action_space, env.observation_space
    by_key = isinstance(observations, spaces.Dict)
    kind, names = action_kind(actions), action_names(env)
    spec = None
    if evidence is not None:
        spec = evidence.spec(kind, names or default_names(kind, action_sizes(actions)))
    return Header(
        env_id=env.spec.id if env.spec is not None else type(env.unwrapped).__name__,
        layout=layout,
        maps=maps,
        observation_keys=tuple(observations.spaces) if by_key else ("",),
        action_kind=kind,
        action_sizes=action_sizes(actions),
        action_names=names,
        action_bounds=_action_bounds(actions),
        distribution=distribution,
        picture="frame" if env.render_mode == "rgb_array" else "observation",
        fps=float(np.clip((env.metadata.get("render_fps") or 15) / _frame_skip(env), 1, 1000)),
        map_dtype=map_dtype,
        evidence=spec,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        versions={name: metadata.version(name) for name in PACKAGES},
    )


def name_numbers(layout: TokenLayout, space: spaces.Space) -> TokenLayout:
    """Return a layout whose numbers have the names that the environment gives them.

    Args:
        layout: of a policy that knows them as "x0", "x1", ... alone.
        space: of the environment's observations.
    """
    groups = []
    for group in layout.groups:
        part = space.spaces.get(group.key) if isinstance(space, spaces.Dict) else space
        spec = part.tokens if isinstance(part, TokenBox) else None
        if isinstance(spec, Features) and len(spec.names) == len(group.names):
            group = replace(group, names=spec.names)
        groups.append(group)
    return TokenLayout(tuple(groups))


def action_kind(space: spaces.Space) -> ActionKind:
    """Return the kind of an action space.

    Raises:
        ValueError: it is none that Stable-Baselines3 knows.
    """
    kinds: dict[type, ActionKind] = {
        spaces.Discrete: "discrete",
        spaces.MultiDiscrete: "multi_discrete",
        spaces.MultiBinary: "multi_binary",
        spaces.Box: "continuous",
    }
    for space_type, kind in kinds.items():
        if isinstance(space, space_type):
            return kind
    raise ValueError(f"actions must be Discrete, MultiDiscrete, MultiBinary or Box, got {space}")


def action_sizes(space: spaces.Space) -> tuple[int, ...]:
    """Return the number of choices of each part of an action, 1 for a bit or a number."""
    if isinstance(space, (spaces.Discrete, spaces.MultiDiscrete)):
        return choice_sizes(space)
    return (1,) * spaces.flatdim(space)


def _frame_skip(env: gym.Env) -> int:
    """Return how many frames a step of `AtariPreprocessing` takes, 1 without it."""
    while isinstance(env, gym.Wrapper):
        if isinstance(env, AtariPreprocessing):
            return env.frame_skip
        env = env.env
    return 1


def _action_bounds(space: gym.Space) -> tuple[tuple[float, float], ...] | None:
    if not isinstance(space, spaces.Box) or not space.is_bounded():
        return None
    pairs = zip(np.ravel(space.low).tolist(), np.ravel(space.high).tolist(), strict=True)
    return tuple((float(low), float(high)) for low, high in pairs)
