"""All parts of an observation as one row of tokens, in the order of the token layout."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from envs.spaces import Categories, Cells, Entities, Features, History, Patches, TokenSpec
from policies.tokenizers.cells import CellTokenizer
from policies.tokenizers.features import CategoryTokenizer, FeatureTokenizer
from policies.tokenizers.patches import PatchTokenizer
from policies.tokenizers.rows import EntityTokenizer, HistoryTokenizer
from policies.tokenizers.tokenizer import Tokens

TOKENIZERS: dict[type, type[nn.Module]] = {
    Features: FeatureTokenizer,
    Categories: CategoryTokenizer,
    Cells: CellTokenizer,
    Patches: PatchTokenizer,
    Entities: EntityTokenizer,
    History: HistoryTokenizer,
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
        if all(part.mask is None for part in parts):
            return Tokens(values, None)
        masks = [
            part.mask
            if part.mask is not None
            else part.values.new_ones(part.values.shape[:2], dtype=torch.bool)
            for part in parts
        ]
        return Tokens(values, torch.cat(masks, 1))
