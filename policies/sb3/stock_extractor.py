"""The networks of `GatedExtractor` without a gate: SB3's own, where it has one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gymnasium import spaces
from jaxtyping import Bool, Float
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.torch_layers import NatureCNN
from torch import Tensor, nn

from attention_agents.envs.tokens.spaces import TokenChoice
from attention_agents.envs.tokens.specs import History, Patches, TokenSpec
from attention_agents.policies.gate.gated_specs import (
    NATURE,
    count_numbers,
    gated_specs,
    observation_family,
)
from attention_agents.policies.sb3.gated_extractor import GatedExtractor, is_picture, picture_layers


class NoGate(nn.Module):
    """Hand tokens on as they are, where a gate would stand."""

    def forward(
        self, x: Float[Tensor, "B C N"], mask: Bool[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B C N"]:
        return x


class StockExtractor(GatedExtractor):
    """Pass an observation through the network of a `GatedExtractor` that has no gate.

    It is for observations that SB3 has no network of its own for: cells of categories, planes of
    a grid, windows of the past, pictures that the Nature DQN's strides do not fit. `layout` says
    what a gate would weigh.

    Args:
        observation_space: see `GatedExtractor`.
        tokens: see `GatedExtractor`.

    Raises:
        ValueError: a part of the observation is a set.
    """

    def __init__(
        self,
        observation_space: spaces.Space,
        tokens: TokenChoice | Mapping[str, TokenChoice] = "auto",
    ):
        super().__init__(observation_space, tokens)
        if self.gate is not None:
            self.gate = NoGate()
        for picture in self.pictures.values():
            picture.gate = NoGate()

    def attention_modules(self) -> list[Any]:
        """Return none: nothing attends."""
        return []


def stock_policy_kwargs(
    algorithm: type | str,
    observation_space: spaces.Space,
    tokens: TokenChoice | Mapping[str, TokenChoice] = "auto",
) -> dict[str, Any]:
    """Return `policy_kwargs` of an SB3 algorithm for a policy without attention.

    Args:
        algorithm: class or name, such as `PPO` or "ppo".
        observation_space: of the environment.
        tokens: see `GatedExtractor`.

    Returns:
        Nothing where SB3's `MlpPolicy` or `MultiInputPolicy` is the network, which is so for sets
        too, `NatureCNN` where `CnnPolicy` is, else a `StockExtractor` and the layers that follow.

    >>> stock_policy_kwargs("ppo", spaces.Box(-1, 1, (3,)))
    {}
    """
    if observation_family(observation_space, tokens) == "entities":
        return {}
    specs = gated_specs(observation_space, tokens)
    convolves = is_picture(observation_space, tokens)
    parts = observation_space.spaces if isinstance(observation_space, spaces.Dict) else None
    if all(_sb3_reads(parts[k] if parts else observation_space, s) for k, s in specs.items()):
        return {"features_extractor_class": NatureCNN} if convolves else {}
    name = algorithm if isinstance(algorithm, str) else algorithm.__name__
    return {
        "features_extractor_class": StockExtractor,
        "features_extractor_kwargs": {"tokens": tokens},
        **(picture_layers(name) if convolves else {}),
    }


def _sb3_reads(space: spaces.Space, spec: TokenSpec) -> bool:
    """Return whether SB3 passes a part of an observation through the network of a gate."""
    if is_image_space(space):
        return isinstance(spec, Patches) and spec.convs == NATURE and spec.channels_first
    return count_numbers(spec) > 0 and not isinstance(spec, History)
