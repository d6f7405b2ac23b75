"""Predicted visibility: tokens around a center that the query predicts."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.attention.token_geometry import Geometry
from attention_agents.policies.attention.visibility.visibility import Visibility, visibility_error
from attention_agents.policies.registries import VISIBILITIES


@VISIBILITIES.register(
    "predicted", "tokens around a center that the query predicts, as wide as `window`"
)
class Predicted(Visibility):
    """Prefer tokens near a center that each query predicts from its content, head by head.

    `center = size * sigmoid(aim_h . tanh(inner_h q))`, and to the scores of tokens on that axis
    `-(at - center)^2 / (2 sigma^2)` is added, with `sigma = window / 2`. Axes are the rows and the
    columns of each grid, and time; token i of an axis stands at `at = i + 1/2` of `size`. To a
    token that is not on an axis that axis adds nothing.

    Source: Luong et al. 2015, section 3.2 (local-p), https://arxiv.org/abs/1508.04025.
    Differs: the Gaussian is added to the scores, where Luong multiplies weights by it, so that rows
        still sum to 1; it is not cut off at `window`; there is a center per head and axis.
    """

    size: Tensor
    parabola: Tensor

    def __init__(self, context: LayerContext):
        super().__init__(context)
        axes = [axis for axis in token_axes(Geometry.of(context.layout)) if np.nanmax(axis) > 0]
        if not axes:
            raise visibility_error("predicted", "tokens on a grid or in time", context)
        H, K, A = context.heads, context.head_width, len(axes)
        size = np.nanmax(axes, axis=1) + 1  # (A,)
        on = ~np.isnan(axes)  # (A, N)
        at = np.nan_to_num(axes) + (1 - size[:, None]) / 2  # 0 in the middle of the axis
        # -(at - c)^2 = -c^2 + 2 at c - at^2 is one product of (c^2, c, 1) with these rows
        parabola = np.concatenate([-1.0 * on, 2 * on * at, -(on * at**2).sum(0, keepdims=True)])
        parabola *= 2 / context.attention.window**2  # 1 / (2 sigma^2)
        real = torch.get_default_dtype()
        self.register_buffer("size", torch.tensor(size, dtype=real), persistent=False)
        self.register_buffer("parabola", torch.tensor(parabola, dtype=real), persistent=False)
        self.inner = nn.Parameter(torch.randn(H, K, K) * K**-0.5)
        self.aim = nn.Parameter(torch.randn(H, A, K) * K**-0.5)

    def forward(self, q: Float[Tensor, "B H Q K"]) -> Float[Tensor, "B H Q N"]:
        hidden = torch.tanh(q @ self.inner.transpose(-2, -1))
        share = torch.sigmoid(hidden @ self.aim.transpose(-2, -1))  # (B, H, Q, A)
        c = self.size * (share - 0.5)
        return torch.cat([c.square(), c, torch.ones_like(c[..., :1])], -1) @ self.parabola


def token_axes(geometry: Geometry) -> list[Float[np.ndarray, "N"]]:
    """Return places on each axis, counted from 0, NaN off it: rows, columns of each grid; time."""
    axes = [
        np.where(geometry.grid == grid, axis, np.nan)
        for grid in geometry.grid_ids
        for axis in (geometry.row_index, geometry.column_index)
    ]
    if geometry.has_time.any():
        axes.append(geometry.time_offset - np.nanmin(geometry.time_offset))
    return axes
