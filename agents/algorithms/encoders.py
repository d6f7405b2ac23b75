"""From the encoder of a run to a features extractor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor

from attention_agents.agents.config.encoder_config import EncoderConfig
from attention_agents.agents.config.run_config import RunConfig
from attention_agents.agents.config.validation import check_choice
from attention_agents.policies.gate.attention_gate import GateConfig
from attention_agents.policies.sb3.extractor import AttentionExtractor
from attention_agents.policies.sb3.gated_extractor import GatedExtractor, attention_policy_kwargs
from attention_agents.policies.sb3.pointer import PointerExtractor, count_actions
from attention_agents.policies.sb3.stock_extractor import stock_policy_kwargs

POOLED = (
    "layers",
    "heads",
    "width",
    "block",
    "readout",
    "num_queries",
    "query_source",
    "attention",
)
"""Fields of `EncoderConfig` that `AttentionExtractor` takes, beside tokens."""
GATED = ("layers", "heads", "width", "block", "attention", "sparsity")
"""Fields that `GatedExtractor` takes, beside tokens and gate."""
NOT_WORDS = ("heads", "sparsity")
"""Fields of `GateConfig` that are options of their own."""


def extractor_arguments(config: RunConfig, space: spaces.Space) -> dict[str, Any]:
    """Return the part of SB3's `policy_kwargs` that an encoder decides.

    Args:
        config: the run.
        space: of its observations.

    Raises:
        ValueError: the encoder does not fit the observation.
    """
    encoder = config.encoder
    arguments = encoder_arguments(encoder)
    if encoder.kind == "stock":
        return stock_policy_kwargs(config.algo, space, **arguments)
    if encoder.kind == "gate":
        return attention_policy_kwargs(config.algo, space, **arguments)
    if config.policy.head == "mlp":
        return {
            "features_extractor_class": AttentionExtractor,
            "features_extractor_kwargs": arguments,
        }
    return {"features_extractor_kwargs": arguments}  # policies with a class of their own


def encoder_arguments(encoder: EncoderConfig) -> dict[str, Any]:
    """Return what the extractor of an encoder takes besides the observation space.

    Raises:
        ValueError: a gate cannot be what was asked for.
    """
    tokens = encoder.tokens
    arguments: dict[str, Any] = {"tokens": dict(tokens) if isinstance(tokens, Mapping) else tokens}
    if encoder.kind == "pooled":
        arguments |= {name: getattr(encoder, name) for name in POOLED}
    elif encoder.kind == "gate":
        arguments["gate"] = gate_config(encoder)
        arguments |= {name: getattr(encoder, name) for name in GATED}
    return arguments


def gate_config(encoder: EncoderConfig) -> GateConfig:
    """Return the gate of an encoder.

    Raises:
        ValueError: a word is unknown, or a value breaks a rule of `GateConfig`.
    """
    words = dict(encoder.gate)
    names = [name for name in vars(GateConfig()) if name not in NOT_WORDS]
    for name, value in encoder.gate.items():
        check_choice("word of gate", name, names)
        wanted = type(getattr(GateConfig(), name))
        if wanted is float and type(value) is int:
            words[name] = float(value)
        elif type(value) is not wanted:
            raise ValueError(
                f"{name} of gate must be like {getattr(GateConfig(), name)!r}, got {value!r}"
            )
    return GateConfig(heads=encoder.heads, sparsity=float(encoder.sparsity), **words)


def settle_gate(config: RunConfig) -> RunConfig:
    """Return a run whose gate has nothing open, so that later defaults do not change it.

    Raises:
        ValueError: see `gate_config`.
    """
    if config.encoder.kind != "gate":
        return config
    settled = asdict(gate_config(config.encoder))
    words = {name: value for name, value in settled.items() if name not in NOT_WORDS}
    return replace(config, encoder=replace(config.encoder, gate=words))


def build_extractor(
    config: RunConfig, space: spaces.Space, actions: spaces.Space | None
) -> BaseFeaturesExtractor:
    """Build the features extractor of a run by itself.

    Args:
        config: the run.
        space: of its observations.
        actions: of its actions, for a head that points.

    Raises:
        ValueError: the encoder does not fit the observation.
    """
    arguments = encoder_arguments(config.encoder)
    if config.encoder.kind == "gate":
        return GatedExtractor(space, **arguments)
    if config.policy.head == "pointer":
        return PointerExtractor(space, actions=count_actions(actions), **arguments)
    if config.policy.head == "attention-gru":
        from attention_agents.policies.sb3.recurrent import TokenExtractor

        return TokenExtractor(space, **arguments)
    return AttentionExtractor(space, **arguments)
