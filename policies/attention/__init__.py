"""Attention, piece by piece: each mechanism has a name, and your own can have one too."""

from policies.attention.additive import Additive
from policies.attention.attentive import Attentive, Heard, Listener
from policies.attention.geometry import Geometry
from policies.attention.heads import MultiHead, QueryAttention, SelfAttention
from policies.attention.location import Location
from policies.attention.mechanism import Mechanism, Site
from policies.attention.mixes import MIXES, Mix
from policies.attention.normalisers import NORMALISERS, Normaliser
from policies.attention.perturbed import Gumbel, PerturbedTopK
from policies.attention.positions import POSITIONS, Positions
from policies.attention.projection import Projection
from policies.attention.registry import Registry
from policies.attention.relative import Relative
from policies.attention.scores import SCORES, Bilinear, Score
from policies.attention.selections import SELECTIONS, Selection
from policies.attention.sparse import Entmax15, Sparsemax
from policies.attention.weighing import Weighed, Weighing, attend
from policies.attention.wheres import WHERES, Where
from policies.attention.windows import Window

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
