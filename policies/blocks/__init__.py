"""Layers of an encoder, by name."""

from policies.blocks.block import BLOCKS, Block, FeedForward
from policies.blocks.channel import Channel
from policies.blocks.gtrxl import GTrXL
from policies.blocks.isab import ISAB, composed
from policies.blocks.residual import Residual
from policies.blocks.sab import SAB
from policies.blocks.space_time import SpaceTime

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
