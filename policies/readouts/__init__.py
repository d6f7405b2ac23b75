"""From tokens to one vector, by name."""

from attention_agents.policies.readouts.attention_gru import AttentionGRU, AttentionGRUCell
from attention_agents.policies.readouts.augru import AUGRU, AttGRU
from attention_agents.policies.readouts.cls import CLSToken
from attention_agents.policies.readouts.cross import Cross
from attention_agents.policies.readouts.ego import Ego
from attention_agents.policies.readouts.importance_voting import Votes
from attention_agents.policies.readouts.last_step import Present
from attention_agents.policies.readouts.pool import Max, Mean, Sum
from attention_agents.policies.readouts.queries import LearnedQueries
from attention_agents.policies.readouts.query import LearnedQuery
from attention_agents.policies.readouts.readout import READOUTS, Readout
from attention_agents.policies.readouts.slots import Slots

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
