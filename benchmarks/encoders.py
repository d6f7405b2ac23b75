"""The encoders that are compared, as `policy_kwargs` for unmodified Stable-Baselines3."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.preprocessing import is_image_space

from attention_agents.agents.config.validation import check_choice
from attention_agents.policies.attention.attention_config import AttentionConfig
from attention_agents.policies.gate.attention_gate import GateConfig
from attention_agents.policies.registries import REGISTRIES
from attention_agents.policies.sb3.extractor import AttentionExtractor
from attention_agents.policies.sb3.gated_extractor import attention_policy_kwargs
from attention_agents.policies.sb3.stock_extractor import StockExtractor
from benchmarks.small_cnn import SmallCNN

ENCODERS = {
    "gate": "SB3's network with an attention gate (`attention_policy_kwargs`)",
    "stock": "SB3's own policy for the space",
    "cnn": "the network of MinAtar's authors: 16 3x3 filters, dense 128, SB3's heads of 64, 64",
    "ungated": "the gate's network without the gate",
    "pooled": "`AttentionExtractor`, one block and the mean over tokens that are present",
}
"""Gates take fields of `GateConfig` and `AttentionConfig`, and arguments of `GatedExtractor`:
`gate:floor=0.5:heads=2`, `gate:normalizer=sparsemax`, `gate:layers=2:block=gtrxl`."""
GATE = tuple(field.name for field in fields(GateConfig))
ATTENTION = tuple(field.name for field in fields(AttentionConfig))
EXTRACTOR = ("layers", "width", "block")


def policy_name(space: spaces.Space) -> str:
    """Return the name of SB3's policy for a space."""
    if isinstance(space, spaces.Dict):
        return "MultiInputPolicy"
    return "CnnPolicy" if is_image_space(space) else "MlpPolicy"


def check_encoder(encoder: str) -> None:
    """Refuse what is no encoder.

    Raises:
        ValueError: there is no encoder of this name, or its words are no settings of a gate.
    """
    name, *words = encoder.split(":")
    check_choice("encoder", name, ENCODERS)
    if words and name != "gate":
        raise ValueError(f"the encoder {name} has no settings, got {encoder!r}")
    gate_arguments(words)


def encoder_kwargs(encoder: str, algo: str, space: spaces.Space) -> dict[str, Any]:
    """Return the `policy_kwargs` of an encoder.

    Raises:
        ValueError: there is no encoder of this name.
    """
    check_encoder(encoder)
    name, *words = encoder.split(":")
    if name == "stock":
        return {}
    if name == "cnn":
        return {"features_extractor_class": SmallCNN}
    if name == "pooled":
        arguments = {"layers": 2, "readout": "mean"}
        return {
            "features_extractor_class": AttentionExtractor,
            "features_extractor_kwargs": arguments,
        }
    kwargs = attention_policy_kwargs(algo, space, **gate_arguments(words))
    if name == "ungated":
        kwargs["features_extractor_class"] = StockExtractor
    return kwargs


def gate_arguments(words: list[str]) -> dict[str, Any]:
    """Return arguments of `GatedExtractor` from settings such as "floor=0.5".

    Raises:
        ValueError: a setting is unknown, or no value for it.
    """
    given = dict(_setting(word) for word in words)
    gate = {name: value for name, value in given.items() if name in GATE}
    attention = {name: value for name, value in given.items() if name in ATTENTION}
    GateConfig(**gate)
    arguments = {name: value for name, value in given.items() if name in EXTRACTOR}
    if gate:
        arguments["gate"] = gate
    if attention:
        arguments["attention"] = AttentionConfig(**attention)
    return arguments


def _setting(word: str) -> tuple[str, Any]:
    name, equals, value = word.partition("=")
    check_choice("gate setting", name, [*GATE, *ATTENTION, *EXTRACTOR])
    if not equals:
        raise ValueError(f"settings of a gate are name=value, such as floor=0.5; got {word!r}")
    if value in ("true", "false"):
        return name, value == "true"
    if name in REGISTRIES:
        return name, value
    try:
        return name, int(value) if value.isdigit() else float(value)
    except ValueError as error:
        raise ValueError(f"a gate's {name} is a number or true or false, got {value!r}") from error


def count_parameters(module: torch.nn.Module) -> int:
    """Return how many numbers a module learns."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)
