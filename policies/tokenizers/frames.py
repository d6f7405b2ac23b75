"""Patches, cells or entities of past frames as tokens: attention over space and time."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attention_agents.envs.tokens.specs import MAX_BYTE, Cells, Entities, Frames, Patches
from attention_agents.policies.tokenizers.cells import CellTokenizer
from attention_agents.policies.tokenizers.entities import EntityTokenizer, blank_absent_rows
from attention_agents.policies.tokenizers.patches import PatchTokenizer
from attention_agents.policies.tokens import Tokens

PARTS: dict[type, type[nn.Module]] = {
    Patches: PatchTokenizer,
    Cells: CellTokenizer,
    Entities: EntityTokenizer,
}


class FrameTokenizer(nn.Module):
    """Make each patch, cell or entity of each frame a token: `content + place + age`, oldest first.

    All frames share content and place, which entities have none of; each has its own learned age.
    Tokens of frames from before the episode are absent, and so are entities that were.

    Source: Bertasius et al. 2021, Is space-time attention all you need for video understanding?,
        section 3.1, https://arxiv.org/abs/2102.05095. Differs: one embedding per place and one per
        age are added up, in place of one for every pair of both.
    """

    def __init__(self, spec: Frames, width: int):
        super().__init__()
        self.shape, self.scale = spec.part.shape, MAX_BYTE if spec.of_bytes else 1.0
        self.part = PARTS[type(spec.part)](spec.part, width)
        self.age = nn.Parameter(torch.randn(spec.steps, 1, width))

    def forward(self, obs: Float[Tensor, "B T P1"]) -> Tokens:
        B, T, _ = obs.shape
        seen = obs[:, :, 0] > 0.5  # (B, T)
        frames = blank_absent_rows(obs[:, :, 1:], seen).reshape(B * T, *self.shape) / self.scale
        values, mask, places = self.part(frames)
        tokens = values.unflatten(0, (B, T)) + self.age  # (B, T, N, D)
        present = seen[:, :, None].expand(B, T, tokens.shape[2])  # (B, T, N)
        if mask is not None:
            present = present & mask.unflatten(0, (B, T))
        places = None if places is None else places.reshape(B, -1, 2)  # (B, T * N, 2)
        return Tokens(tokens.flatten(1, 2), present.flatten(1, 2), places)
