"""Patches or cells of past frames as tokens: attention over space and time."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from envs.specs import Cells, Frames
from policies.tokenizers.cells import CellTokenizer
from policies.tokenizers.patches import PatchTokenizer
from policies.tokens import Tokens

BRIGHTEST = 255.0
"""Of a picture of bytes; Stable-Baselines3 divides pictures by it, but not rows of numbers."""


class FrameTokenizer(nn.Module):
    """Make each patch or cell of each frame a token: `content + place + age`, oldest frame first.

    All frames share content and place; each has its own learned age. Tokens of frames from before
    the episode are absent.

    Source: Bertasius et al. 2021, Is space-time attention all you need for video understanding?,
        section 3.1, https://arxiv.org/abs/2102.05095. Differs: one embedding per place and one per
        age are added up, in place of one for every pair of both.
    """

    def __init__(self, spec: Frames, width: int):
        super().__init__()
        self.shape, self.scale = spec.part.shape, BRIGHTEST if spec.of_bytes else 1.0
        part = spec.part
        cells = isinstance(part, Cells)
        self.part = CellTokenizer(part, width) if cells else PatchTokenizer(part, width)
        self.age = nn.Parameter(torch.randn(spec.steps, 1, width))

    def forward(self, obs: Float[Tensor, "B T P1"]) -> Tokens:
        B, T, _ = obs.shape
        frames = obs[:, :, 1:].reshape(B * T, *self.shape) / self.scale
        tokens = self.part(frames).values.unflatten(0, (B, T))  # (B, T, N, D)
        real = (obs[:, :, :1] > 0.5).expand(B, T, tokens.shape[2])  # (B, T, N)
        return Tokens((tokens + self.age).flatten(1, 2), real.flatten(1, 2))  # (B, T * N, D)
