"""All words of mechanisms, by the option that takes them. Free of torch.

A new score is a new file in `policies/attention/scores`, and so on; nothing else changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attention_agents.policies.registry import Registry

if TYPE_CHECKING:
    from attention_agents.policies.attention.hard_attention.hard_attention import HardAttention
    from attention_agents.policies.attention.head_mixing.head_mixing import HeadMixing
    from attention_agents.policies.attention.normalizers.normalizer import Normalizer
    from attention_agents.policies.attention.positions.position_bias import PositionBias
    from attention_agents.policies.attention.scores.score import Score
    from attention_agents.policies.attention.visibility.visibility import Visibility
    from attention_agents.policies.blocks.block import Block
    from attention_agents.policies.readouts.readout import Readout

PACKAGE = "attention_agents.policies"

BLOCKS: Registry[type[Block]] = Registry("block", f"{PACKAGE}.blocks", "residual")
READOUTS: Registry[type[Readout]] = Registry(
    "readout",
    f"{PACKAGE}.readouts",
    "auto",
    "ego where the observation has such a token, else query",
)
SCORES: Registry[type[Score]] = Registry(
    "score", f"{PACKAGE}.attention.scores", "scaled-dot-product"
)
NORMALIZERS: Registry[type[Normalizer]] = Registry(
    "normalizer", f"{PACKAGE}.attention.normalizers", "softmax"
)
HARD_ATTENTIONS: Registry[type[HardAttention]] = Registry(
    "hard attention",
    f"{PACKAGE}.attention.hard_attention",
    "none",
    "soft attention: every token with weight is read",
)
VISIBILITIES: Registry[type[Visibility]] = Registry(
    "visibility", f"{PACKAGE}.attention.visibility", "global", "all tokens"
)
POSITION_BIASES: Registry[type[PositionBias]] = Registry(
    "positions",
    f"{PACKAGE}.attention.positions",
    "none",
    "tokens know their places by their embedding alone",
)
HEAD_MIXINGS: Registry[type[HeadMixing]] = Registry(
    "head mixing",
    f"{PACKAGE}.attention.head_mixing",
    "concat",
    "heads side by side, then projected",
)
REGISTRIES: dict[str, Registry[Any]] = {
    "block": BLOCKS,
    "readout": READOUTS,
    "score": SCORES,
    "normalizer": NORMALIZERS,
    "hard_attention": HARD_ATTENTIONS,
    "visibility": VISIBILITIES,
    "positions": POSITION_BIASES,
    "head_mixing": HEAD_MIXINGS,
}
"""By the name of the option, in the order of `--help`."""
