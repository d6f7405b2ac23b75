"""From tokens to one vector, by name."""

from policies.readouts.attention_gru import AttentionGRU, AttentionGRUCell
from policies.readouts.augru import AUGRU, AttGRU
from policies.readouts.cls import CLSToken
from policies.readouts.cross import Cross
from policies.readouts.ego import Ego
from policies.readouts.pool import Max, Mean, Sum
from policies.readouts.present import Present
from policies.readouts.queries import LearnedQueries
from policies.readouts.query import LearnedQuery
from policies.readouts.readout import READOUTS, Readout
from policies.readouts.slots import Slots
from policies.readouts.votes import Votes

__all__ = [
    "AUGRU",
    "READOUTS",
    "AttGRU",
    "AttentionGRU",
    "AttentionGRUCell",
    "CLSToken",
    "Cross",
    "Ego",
    "LearnedQueries",
    "LearnedQuery",
    "Max",
    "Mean",
    "Present",
    "Readout",
    "Slots",
    "Sum",
    "Votes",
]
