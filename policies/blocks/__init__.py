"""Layers of an encoder, by name."""

from attention_agents.policies.blocks.block import BLOCKS, Block, FeedForward
from attention_agents.policies.blocks.channel import Channel
from attention_agents.policies.blocks.gtrxl import GTrXL
from attention_agents.policies.blocks.isab import ISAB, composed
from attention_agents.policies.blocks.residual import Residual
from attention_agents.policies.blocks.sab import SAB
from attention_agents.policies.blocks.space_time import SpaceTime

__all__ = [
    "BLOCKS",
    "ISAB",
    "SAB",
    "Block",
    "Channel",
    "FeedForward",
    "GTrXL",
    "Residual",
    "SpaceTime",
    "composed",
]
