"""Which tokens a query may see."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from attention_agents.policies.attention.mechanism import Site
from attention_agents.policies.attention.registry import Registry
from attention_agents.policies.attention.token_geometry import Geometry, called

WHERES: Registry[type[Where]] = Registry("where")


class Where(nn.Module):
    """Say which tokens each query may see, and how much nearer ones are preferred.

    A subclass sets `visible`, or gives `forward`, or both.

    Raises:
        ValueError: the tokens or the queries do not stand where this needs them to.
    """

    visible: Tensor | None
    """(Q, N) bool buffer, True where query q may see token n; None when it may see all."""
    needs_askers = False
    """Whether queries must be tokens, with a place of their own."""

    def __init__(self, site: Site):
        super().__init__()
        self.register_buffer("visible", None, persistent=False)

    def forward(self, q: Float[Tensor, "B H Q K"]) -> Float[Tensor, "#B #H Q N"] | None:
        """Return what is added to the scores, all finite; None for nothing."""
        return None


@WHERES.register("global", "all tokens")
class Global(Where):
    """See every token."""


@WHERES.register("predicted", "tokens around a centre that the query predicts, as wide as `reach`")
class Predicted(Where):
    """Prefer tokens near a centre that each query predicts from its content, head by head.

    `centre = size * sigmoid(aim_h . tanh(inner_h q))`, and to the scores of tokens on that axis
    `-(at - centre)^2 / (2 sigma^2)` is added, with `sigma = reach / 2`. Axes are the rows and the
    columns of each grid, and time; token i of an axis stands at `at = i + 1/2` of `size`. To a
    token that is not on an axis that axis adds nothing.

    Source: Luong et al. 2015, section 3.2 (local-p), https://arxiv.org/abs/1508.04025.
    Differs: the Gaussian is added to the scores, where Luong multiplies weights by it, so that rows
        still sum to 1; it is not cut off at `reach`; there is a centre per head and axis.
    """

    size: Tensor
    parabola: Tensor

    def __init__(self, site: Site):
        super().__init__(site)
        axes = [axis for axis in axes_of(Geometry.of(site.layout)) if np.nanmax(axis) > 0]
        if not axes:
            raise refused("predicted", "tokens on a grid or in time", site)
        H, K, A = site.heads, site.head_width, len(axes)
        size = np.nanmax(axes, axis=1) + 1  # (A,)
        on = ~np.isnan(axes)  # (A, N)
        at = np.nan_to_num(axes) + (1 - size[:, None]) / 2  # 0 in the middle of the axis
        # -(at - c)^2 = -c^2 + 2 at c - at^2 is one product of (c^2, c, 1) with these rows
        parabola = np.concatenate([-1.0 * on, 2 * on * at, -(on * at**2).sum(0, keepdims=True)])
        parabola *= 2 / site.mechanism.reach**2  # 1 / (2 sigma^2)
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


def axes_of(here: Geometry) -> list[Float[np.ndarray, "N"]]:
    """Return places on each axis, counted from 0, NaN off it: rows, columns of each grid; time."""
    axes = [
        np.where(here.grid == grid, axis, np.nan)
        for grid in here.grids
        for axis in (here.row, here.col)
    ]
    if here.timed.any():
        axes.append(here.time - np.nanmin(here.time))
    return axes


def refused(name: str, need: str, site: Site) -> ValueError:
    """Return the error of a layout that lacks what a where needs."""
    return ValueError(
        f"where={name!r} needs {need}, and these are {called(site.layout)}; use where='global'"
    )
