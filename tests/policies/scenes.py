"""Small layouts of every geometry, and a token that asks, for the tests of attention."""

import torch
from torch import Tensor, nn

from attention_agents.envs.tokens.layout import TokenGroup, TokenLayout
from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.attention.multi_head import QueryAttention, SelfAttention
from attention_agents.policies.testkit import build_module, record_weights
from attention_agents.policies.tokens import Tokens


def cells(rows: int, cols: int, key: str = "", offset: int | None = None) -> TokenGroup:
    """Return a grid of cells, of a past frame if `offset` says so."""
    names = tuple(f"{row},{col}" for row in range(rows) for col in range(cols))
    offsets = None if offset is None else (offset,) * len(names)
    return TokenGroup("cells", names, key, (rows, cols), offsets=offsets)


def steps(*offsets: int, key: str = "") -> TokenGroup:
    return TokenGroup("history", tuple(map(str, offsets)), key, offsets=offsets)


def features(count: int, key: str = "") -> TokenGroup:
    return TokenGroup("features", tuple(f"x{i}" for i in range(count)), key)


def entities(count: int, key: str = "") -> TokenGroup:
    return TokenGroup("entities", tuple(f"unit {i}" for i in range(count)), key, ego=0)


SCENES = {
    "grid": TokenLayout((cells(3, 5),)),
    "history": TokenLayout((steps(-4, -3, -2, -1, 0),)),
    "frames": TokenLayout((cells(2, 3, offset=-1), cells(2, 3, offset=0))),
    "mixed": TokenLayout((cells(2, 3, "image"), features(1, "direction"))),
    "timed": TokenLayout((cells(1, 2, "image", -1), cells(1, 2, "image", 0), features(1, "turn"))),
    "entities": TokenLayout((entities(5),)),
    "crowd": TokenLayout((entities(3, "units"), features(2, "speed"))),
    "features": TokenLayout((features(5),)),
}


class QueryBlock(nn.Module):
    """Let one token ask, as the ego readout does: its row as query, zeros where it is absent."""

    def __init__(self, place: LayerContext):
        super().__init__()
        assert place.query_tokens is not None
        (self.row,) = place.query_tokens
        self.attention = QueryAttention(place, query_source="ego")

    def forward(self, tokens: Tokens) -> Tensor:
        query = tokens.values[:, self.row, None]
        if tokens.mask is not None:
            query = torch.where(tokens.mask[:, self.row, None, None], query, 0.0)
        return self.attention(query, tokens)[:, 0]


def projected(module: SelfAttention, tokens: Tokens) -> tuple[Tensor, Tensor, Tensor]:
    """Return q, k and v of each head: (B, H, N, K)."""
    B, N, D = tokens.values.shape
    inputs = module.inputs(tokens.values).view(B, N, 3, module.heads, D // module.heads)
    q, k, v = inputs.permute(2, 0, 3, 1, 4)
    return q, k, v


def told(module: nn.Module, tokens: Tokens) -> tuple[Tensor, Tensor]:
    """Return the output of a pass and the weights told by its only attention module."""
    out, ((_, heard),) = record_weights(module, tokens)
    return out, heard.weights


def started(place: LayerContext) -> SelfAttention:
    """Return self-attention as it is before its first update, under a seed."""
    torch.manual_seed(0)
    return SelfAttention(place)


def moved(place: LayerContext) -> SelfAttention:
    """Return self-attention in which what begins at 0 has been given something to do."""
    module = build_module(lambda: SelfAttention(place))
    assert isinstance(module, SelfAttention)
    return module
