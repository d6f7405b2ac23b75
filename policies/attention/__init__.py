"""Attention, piece by piece: each mechanism has a name, and your own can have one too."""

from attention_agents.policies.attention.additive import Additive
from attention_agents.policies.attention.attention_weights import Weighed, Weighing, attend
from attention_agents.policies.attention.hard_attention import SELECTIONS, Selection
from attention_agents.policies.attention.head_mixing import MIXES, Mix
from attention_agents.policies.attention.linear import Projection
from attention_agents.policies.attention.location import Location
from attention_agents.policies.attention.mechanism import Mechanism, Site
from attention_agents.policies.attention.multi_head import MultiHead, QueryAttention, SelfAttention
from attention_agents.policies.attention.normalizers import NORMALISERS, Normaliser
from attention_agents.policies.attention.perturbed_top_k import Gumbel, PerturbedTopK
from attention_agents.policies.attention.positions import POSITIONS, Positions
from attention_agents.policies.attention.registry import Registry
from attention_agents.policies.attention.relative_position_bias import Relative
from attention_agents.policies.attention.scores import SCORES, Bilinear, Score
from attention_agents.policies.attention.sparse import Entmax15, Sparsemax
from attention_agents.policies.attention.tappable import Attentive, Heard, Listener
from attention_agents.policies.attention.token_geometry import Geometry
from attention_agents.policies.attention.visibility import WHERES, Where
from attention_agents.policies.attention.windows import Window

__all__ = [
    "MIXES",
    "NORMALISERS",
    "POSITIONS",
    "SCORES",
    "SELECTIONS",
    "WHERES",
    "Additive",
    "Attentive",
    "Bilinear",
    "Entmax15",
    "Geometry",
    "Gumbel",
    "Heard",
    "Listener",
    "Location",
    "Mechanism",
    "Mix",
    "MultiHead",
    "Normaliser",
    "PerturbedTopK",
    "Positions",
    "Projection",
    "QueryAttention",
    "Registry",
    "Relative",
    "Score",
    "Selection",
    "SelfAttention",
    "Site",
    "Sparsemax",
    "Weighed",
    "Weighing",
    "Where",
    "Window",
    "attend",
]
