"""Windows of the past as one observation of the present: offsets side by side, channels stacked.

This is what `VecFrameStack` of Stable-Baselines3 makes of the same steps: steps from before the
episode are zeros.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from attention_agents.envs.tokens.specs import MAX_BYTE, Cells, Entities, Frames, Patches


def window_numbers(window: Float[Tensor, "B K F1"]) -> Float[Tensor, "B 2 KF"]:
    """Put the rows of a window side by side.

    Args:
        window: rows of (presence, F numbers), oldest first.

    Returns:
        The numbers, oldest step first, and whether each is present: 0 from before the episode.
    """
    values = window[:, :, 1:]  # (B, K, F)
    present = window[:, :, :1].expand_as(values)
    return torch.stack([values.flatten(1), present.flatten(1)], 1)


def all_present(numbers: Float[Tensor, "B ..."]) -> Float[Tensor, "B 2 F"]:
    """Return numbers of the present with their presence, which is 1."""
    values = numbers.flatten(1)
    return torch.stack([values, torch.ones_like(values)], 1)


def stacked_frame(spec: Frames) -> Patches | Cells:
    """Return how the frames of a window are cut when they are stacked to one.

    A picture has the channels of all frames, a cell the categories of all frames.
    """
    part, T = spec.part, spec.steps
    if isinstance(part, Patches):
        return replace(part, channels=T * part.channels, channels_first=True)
    assert isinstance(part, Cells), "frames of entities are sets"
    return replace(part, categories=part.categories * T)


def stack_frames(window: Float[Tensor, "B T P1"], spec: Frames) -> Float[Tensor, "B ..."]:
    """Return the frames of a window as one that `stacked_frame` describes.

    Args:
        window: rows of (presence, a frame's P numbers), oldest first.
        spec: of the window.
    """
    assert not isinstance(spec.part, Entities), "frames of entities are sets"
    B, T, _ = window.shape
    frames = window[:, :, 1:].reshape(B, T, *spec.part.shape)
    if isinstance(spec.part, Cells):
        return frames.permute(0, 2, 1, 3).flatten(2)  # (B, N, T * C)
    if not spec.part.channels_first:
        frames = frames.permute(0, 1, 4, 2, 3)  # (B, T, C, height, width)
    return frames.flatten(1, 2) / (MAX_BYTE if spec.of_bytes else 1.0)  # (B, T * C, ...)
