"""All parts of an observation as one row of tokens, in the order of the token layout."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from attention_agents.envs.tokens.specs import (
    Categories,
    Cells,
    Entities,
    Features,
    Frames,
    History,
    Patches,
    TokenSpec,
)
from attention_agents.policies.tokenizers.cells import CellTokenizer
from attention_agents.policies.tokenizers.entities import EntityTokenizer, HistoryTokenizer
from attention_agents.policies.tokenizers.features import CategoryTokenizer, FeatureTokenizer
from attention_agents.policies.tokenizers.frames import FrameTokenizer
from attention_agents.policies.tokenizers.patches import PatchTokenizer
from attention_agents.policies.tokens import Tokens, present_mask

TOKENIZERS: dict[type, type[nn.Module]] = {
    Features: FeatureTokenizer,
    Categories: CategoryTokenizer,
    Cells: CellTokenizer,
    Patches: PatchTokenizer,
    Entities: EntityTokenizer,
    History: HistoryTokenizer,
    Frames: FrameTokenizer,
}


class ObservationTokenizer(nn.Module):
    """Turn a whole observation, an array or a Dict of arrays, into tokens.

    Args:
        specs: a token spec per observation key, key "" for an observation that is no Dict.
        width: D.
    """

    def __init__(self, specs: Mapping[str, TokenSpec], width: int):
        super().__init__()
        self.keys = tuple(specs)
        self.parts = nn.ModuleList(TOKENIZERS[type(spec)](spec, width) for spec in specs.values())

    def forward(self, obs: Tensor | dict[str, Tensor]) -> Tokens:
        if not isinstance(obs, dict):
            return self.parts[0](obs)
        parts = [part(obs[key]) for key, part in zip(self.keys, self.parts, strict=True)]
        values = torch.cat([part.values for part in parts], 1)  # (B, N, D)
        return Tokens(values, _join_masks(parts), _join_places(parts))


def _join_masks(parts: list[Tokens]) -> Bool[Tensor, "B N"] | None:
    """Join the masks; parts without one are all present."""
    if all(part.mask is None for part in parts):
        return None
    return torch.cat([present_mask(part) for part in parts], 1)


def _join_places(parts: list[Tokens]) -> Float[Tensor, "B N 2"] | None:
    """Join the places; tokens of parts without any have NaN."""
    if all(part.places is None for part in parts):
        return None
    places = (
        part.values.new_full((*part.values.shape[:2], 2), torch.nan)
        if part.places is None
        else part.places
        for part in parts
    )
    return torch.cat(list(places), 1)
