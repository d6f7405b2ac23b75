"""The networks of Stable-Baselines3 with an attention gate in them, for `policy_kwargs`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from gymnasium import spaces
from jaxtyping import Float
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn

from attention_agents.envs.tokens.spaces import TokenChoice
from attention_agents.envs.tokens.specs import Cells, Frames, History, Patches, TokenSpec
from attention_agents.policies.attention.attention_config import AttentionConfig
from attention_agents.policies.encoder import LayerModule
from attention_agents.policies.gate.attention_gate import GateConfig
from attention_agents.policies.gate.blocks_gate import GatePlan, gate_modules
from attention_agents.policies.gate.gated_parts import GatedConvolutions, GatedTable
from attention_agents.policies.gate.gated_specs import (
    NATURE,
    count_numbers,
    gated_layout,
    gated_specs,
)
from attention_agents.policies.gate.windows import (
    all_present,
    stack_frames,
    stacked_frame,
    window_numbers,
)
from attention_agents.policies.registries import BLOCKS, SCORES

ACTOR_CRITICS_OF_Q = ("sac", "td3", "ddpg", "tqc")
"""Algorithms whose `CnnPolicy` has hidden layers of [256, 256]; of all others it has none, but for
CrossQ, whose layers are those of its `MlpPolicy`."""
LARGE, SMALL = 512, 128
"""Features of a picture after the Nature DQN's convolutions, and after a smaller network."""


class GatedExtractor(BaseFeaturesExtractor):
    """Attend over an observation whose places mean something, starting as SB3's own network.

    Numbers, bits and choices are tokens of one number each, pictures are the cells of their last
    convolution, grids of categories are cells. Each token is multiplied by its attention gate; what
    follows is what SB3 would put there. The gate is 1 everywhere at the start, and takes no number
    from torch's random stream: with the same seed, an untrained agent has the stock
    agent's weights.

    Args:
        observation_space: Box, Discrete, MultiDiscrete, MultiBinary, or Dict of these.
        tokens: kind of tokens, or a kind per key of a Dict; "auto" chooses from the space.
        features_dim: features of a picture or grid; None for 512 after the Nature DQN's
            convolutions, 128 after smaller networks, and 256 in a Dict, as in SB3.
        gate: how it learns and how far it can close: `GateConfig`, or its fields as a dict.
        layers: attention layers, the gate's included: `layers - 1` self-attention blocks come
            before it, and add nothing to the tokens at the start.
        width: width of tokens inside the blocks, a multiple of heads.
        heads: attention heads of the blocks.
        block: a word of `BLOCKS`, for these.
        attention: how blocks and gate weigh tokens: a whole `AttentionConfig`, or a score, such as
            "additive".
        sparsity: how strongly attention is drawn to few tokens, see `GateConfig.sparsity`; above 0
            it takes the place of the gate's own, and lifts its floor.

    Raises:
        ValueError: a part of the observation is a set, whose places mean nothing; a word is
            unknown, sizes do not fit, or words do not go together.

    >>> from stable_baselines3 import PPO
    >>> model = PPO("MlpPolicy", "CartPole-v1", device="cpu",
    ...             policy_kwargs=dict(features_extractor_class=GatedExtractor))
    >>> model.policy.features_extractor.layout.names
    ('x0', 'x1', 'x2', 'x3')
    """

    def __init__(
        self,
        observation_space: spaces.Space,
        tokens: TokenChoice | Mapping[str, TokenChoice] = "auto",
        features_dim: int | None = None,
        gate: GateConfig | Mapping[str, Any] | None = None,
        layers: int = 1,
        width: int = 64,
        heads: int = 4,
        block: str = BLOCKS.default,
        attention: str | AttentionConfig = SCORES.default,
        sparsity: float = 0.0,
    ):
        config = gate if isinstance(gate, GateConfig) else GateConfig(**(gate or {}))
        plan = GatePlan(
            gate=replace(config, sparsity=sparsity) if sparsity else config,
            layers=layers,
            width=width,
            heads=heads,
            block=block,
            attention=AttentionConfig(attention) if isinstance(attention, str) else attention,
        )
        is_dict = isinstance(observation_space, spaces.Dict)
        specs = gated_specs(observation_space, tokens)
        numbers = {key: size for key, spec in specs.items() if (size := count_numbers(spec))}
        pictures = {
            key: _picture(spec, features_dim or (256 if is_dict else None), plan)
            for key, spec in specs.items()
            if key not in numbers
        }
        size = sum(numbers.values()) + sum(part.features_dim for part in pictures.values())
        super().__init__(observation_space, size)
        self.layers = layers
        self.layout = gated_layout(specs)
        self.keys, self.numbers = tuple(specs), numbers
        self.windows = {k: s for k, s in specs.items() if isinstance(s, Frames | History)}
        self.tokens = nn.Identity()
        self.gate = plan.build(gated_layout({k: specs[k] for k in numbers}), 1) if numbers else None
        self.pictures = nn.ModuleDict({_module_name(key): p for key, p in pictures.items()})
        keys = [group.key for group in self.layout.groups for _ in group.names]
        if self.gate is not None:
            self.gate.place([key in numbers for key in keys], "numbers")
        for own, picture in pictures.items():
            picture.gate.place([key == own for key in keys], own)

    def attention_modules(self) -> list[LayerModule]:
        """Return the attention modules, first layer first; the gates are the last layer."""
        gates = [] if self.gate is None else [self.gate]
        gates += [picture.gate for picture in self.pictures_by_key.values()]
        modules = [module for gate in gates for module in gate_modules(gate)]
        return sorted(modules, key=lambda entry: entry.layer)

    def forward(self, observations: Tensor | dict[str, Tensor]) -> Tensor:
        parts = observations if isinstance(observations, dict) else {"": observations}
        features = {}
        for key, picture in self.pictures_by_key.items():
            window = self.windows.get(key)
            frames = isinstance(window, Frames)
            features[key] = picture(stack_frames(parts[key], window) if frames else parts[key])
        if self.gate is not None:
            features |= self._gate_numbers(self.tokens(self._join_numbers(parts)))
        return torch.cat([features[key] for key in self.keys], 1)

    @property
    def pictures_by_key(self) -> dict[str, Any]:
        """The parts of the observation that are pictures or grids, each with its network."""
        keys = [key for key in self.keys if key not in self.numbers]
        return {key: self.pictures[_module_name(key)] for key in keys}

    def features_from_tokens(
        self, numbers: Float[Tensor, "B P N"] | None, pictures: Mapping[str, Tensor]
    ) -> Float[Tensor, "B F"]:
        """Return the features that tokens give, as they stand before anything weighs them.

        Args:
            numbers: of all parts that are numbers, in their order, P = 1; in a window of the past
                each with its presence, P = 2. None where there are none.
            pictures: (B, C, N) by key, the cells of each picture or grid.
        """
        parts = self.pictures_by_key
        features = {key: parts[key].features_from_tokens(cells) for key, cells in pictures.items()}
        if self.gate is not None:
            assert numbers is not None, "numbers need their tokens"
            features |= self._gate_numbers(numbers)
        return torch.cat([features[key] for key in self.keys], 1)

    def _join_numbers(self, parts: Mapping[str, Tensor]) -> Float[Tensor, "B P N"]:
        """Return the numbers of all parts that are numbers; of windows with their presence."""
        if self.windows.keys().isdisjoint(self.numbers):
            return torch.cat([parts[key].flatten(1) for key in self.numbers], 1)[:, None]
        joined = [
            window_numbers(parts[key]) if key in self.windows else all_present(parts[key])
            for key in self.numbers
        ]
        return torch.cat(joined, 2)

    def _gate_numbers(self, tokens: Float[Tensor, "B P N"]) -> dict[str, Tensor]:
        """Return the gated numbers, (B, n) by key."""
        if tokens.shape[1] == 1:
            gated = self.gate(tokens)  # type: ignore[misc]
        else:
            gated = self.gate(tokens[:, :1], tokens[:, 1] > 0.5)  # type: ignore[misc]
        sizes = list(self.numbers.values())
        return dict(zip(self.numbers, gated[:, 0].split(sizes, 1), strict=True))


def attention_policy_kwargs(
    algorithm: type | str, observation_space: spaces.Space, **extractor_kwargs: Any
) -> dict[str, Any]:
    """Return `policy_kwargs` with which an SB3 algorithm is itself, plus an attention gate.

    Args:
        algorithm: class or name, such as `PPO` or "ppo".
        observation_space: of the environment.
        extractor_kwargs: of `GatedExtractor`.

    Returns:
        The extractor, its arguments, and the hidden layers that follow a picture, which SB3 changes
        for its own convolutions alone.

    Raises:
        ValueError: sparsity with TRPO, whose second derivatives would take it for the policy's.

    >>> from stable_baselines3 import PPO
    >>> from stable_baselines3.common.env_util import make_vec_env
    >>> env = make_vec_env("CartPole-v1", n_envs=2)
    >>> model = PPO("MlpPolicy", env, device="cpu",
    ...             policy_kwargs=attention_policy_kwargs(PPO, env.observation_space))
    """
    name = algorithm if isinstance(algorithm, str) else algorithm.__name__
    gate = extractor_kwargs.get("gate") or {}
    within = gate.sparsity if isinstance(gate, GateConfig) else gate.get("sparsity", 0.0)
    check_sparsity(name, extractor_kwargs.get("sparsity", 0.0) or within)
    kwargs: dict[str, Any] = {
        "features_extractor_class": GatedExtractor,
        "features_extractor_kwargs": extractor_kwargs,
    }
    if is_picture(observation_space, extractor_kwargs.get("tokens", "auto")):
        kwargs |= picture_layers(name)
    return kwargs


def is_picture(
    observation_space: spaces.Space, tokens: TokenChoice | Mapping[str, TokenChoice] = "auto"
) -> bool:
    """Return whether SB3 would use `CnnPolicy` for an observation, or for its steps stacked."""
    if is_image_space(observation_space) or isinstance(observation_space, spaces.Dict):
        return is_image_space(observation_space)
    (spec,) = gated_specs(observation_space, tokens).values()
    return isinstance(spec, Frames) and spec.of_bytes


def check_sparsity(algorithm: str, sparsity: float) -> None:
    """Refuse sparsity where it would be taken for a part of the policy.

    Args:
        algorithm: its name.
        sparsity: of the gates.

    Raises:
        ValueError: the algorithm is TRPO.
    """
    if algorithm.lower() == "trpo" and sparsity > 0:
        raise ValueError(
            f"trpo takes second derivatives, and sparsity={sparsity} adds a gradient of its own; "
            "use sparsity=0, or another algorithm, such as ppo"
        )


def picture_layers(algorithm: str) -> dict[str, Any]:
    """Return `net_arch` as SB3 has it behind its convolutions, by an algorithm's name."""
    if algorithm.lower() == "crossq":
        return {}
    return {"net_arch": [256, 256] if algorithm.lower() in ACTOR_CRITICS_OF_Q else []}


def _picture(spec: TokenSpec, width: int | None, plan: GatePlan) -> Any:
    if isinstance(spec, Frames):
        spec = stacked_frame(spec)
    if isinstance(spec, Patches):
        large = len(spec.convs) == len(NATURE)
        return GatedConvolutions(spec, width or (LARGE if large else SMALL), plan)
    assert isinstance(spec, Cells)
    return GatedTable(spec, width or SMALL, plan)


def _module_name(key: str) -> str:
    return f"picture {key}".replace(".", " ")
