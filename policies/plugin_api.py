"""All names that a mechanism of your own needs, see docs/extending.md."""

from attention_agents.policies.attention.attention_config import AttentionConfig
from attention_agents.policies.attention.hard_attention.hard_attention import (
    HardAttention,
    straight_through,
    top_k_mask,
)
from attention_agents.policies.attention.head_mixing.head_mixing import HeadMixing
from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.attention.linear import Projection
from attention_agents.policies.attention.multi_head import MultiHead, QueryAttention, SelfAttention
from attention_agents.policies.attention.normalizers.normalizer import Normalizer
from attention_agents.policies.attention.positions.position_bias import PositionBias
from attention_agents.policies.attention.scores.score import Bilinear, Score
from attention_agents.policies.attention.tappable import AttentionWeights, TappableAttention
from attention_agents.policies.attention.token_geometry import Geometry
from attention_agents.policies.attention.visibility.visibility import Visibility
from attention_agents.policies.attention.visibility.windows import FixedVisibility
from attention_agents.policies.blocks.block import Block, FeedForward
from attention_agents.policies.readouts.query_block import QueryBlock
from attention_agents.policies.readouts.readout import Readout
from attention_agents.policies.registries import (
    BLOCKS,
    HARD_ATTENTIONS,
    HEAD_MIXINGS,
    NORMALIZERS,
    POSITION_BIASES,
    READOUTS,
    SCORES,
    VISIBILITIES,
)
from attention_agents.policies.tokens import Tokens

__all__ = [
    "BLOCKS",
    "HARD_ATTENTIONS",
    "HEAD_MIXINGS",
    "NORMALIZERS",
    "POSITION_BIASES",
    "READOUTS",
    "SCORES",
    "VISIBILITIES",
    "AttentionConfig",
    "AttentionWeights",
    "Bilinear",
    "Block",
    "FeedForward",
    "FixedVisibility",
    "Geometry",
    "HardAttention",
    "HeadMixing",
    "LayerContext",
    "MultiHead",
    "Normalizer",
    "PositionBias",
    "Projection",
    "QueryAttention",
    "QueryBlock",
    "Readout",
    "Score",
    "SelfAttention",
    "TappableAttention",
    "Tokens",
    "Visibility",
    "straight_through",
    "top_k_mask",
]
