"""Windows: what a query may see, by where asker and token stand in the layout."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float

from attention_agents.policies.attention.mechanism import Site
from attention_agents.policies.attention.token_geometry import Geometry
from attention_agents.policies.attention.visibility import WHERES, Where, refused


class Window(Where):
    """See the tokens that stand in a fixed relation to the asker.

    A subclass gives `name`, `lacks` and `window`.
    """

    needs_askers = True
    name: str
    """In the registry."""

    def __init__(self, site: Site):
        super().__init__(site)
        here = Geometry.of(site.layout)
        need = self.lacks(here)
        if need:
            raise refused(self.name, need, site)
        if site.askers is None:
            raise ValueError(f"where={self.name!r} needs queries that are tokens, got none")
        window = self.window(here, site.mechanism.reach)[list(site.askers)]  # (Q, N)
        if not window.all():
            self.visible = torch.from_numpy(window)

    def lacks(self, here: Geometry) -> str:
        """Return what the tokens lack to be seen this way; empty when nothing."""
        raise NotImplementedError

    def window(self, here: Geometry, reach: int) -> Bool[np.ndarray, "N N"]:
        """Return True where [asker, token] is seen."""
        raise NotImplementedError


@WHERES.register("local", "tokens within `reach` cells and steps of the asker")
class Local(Window):
    """See what is near: `max(|row_n - row_q|, |col_n - col_q|) <= reach`, and likewise in time.

    The window is a square around the asker on its own grid, and `reach` steps to both sides. What
    has no distance to the asker is near: tokens off grids, on another grid, or without a step.

    Source: Luong et al. 2015, Effective approaches to attention-based neural machine translation,
        section 3.2 (local-m), https://arxiv.org/abs/1508.04025; on grids, Ramachandran et al.
        2019, Stand-alone self-attention, section 3, https://arxiv.org/abs/1906.05909; with tokens
        that see and are seen by all, Beltagy et al. 2020, Longformer, section 3.1,
        https://arxiv.org/abs/2004.05150.
    Differs: computed as a mask over all N tokens, so that it costs as much as global attention.
    """

    name = "local"

    def lacks(self, here: Geometry) -> str:
        return "" if here.grids or here.timed.any() else "tokens on a grid or in time"

    def window(self, here: Geometry, reach: int) -> Bool[np.ndarray, "N N"]:
        apart = np.fmax(distance(here.row), distance(here.col)) > reach
        ago = distance(here.time) > reach  # an unknown distance, NaN, is not far
        return ~(here.same_grid & apart | ago)


@WHERES.register("causal", "tokens of the asker's own step or earlier")
class Causal(Window):
    """See no later step than one's own: `step_n <= step_q`.

    Tokens without a step are of the present: they see all, and only the present sees them.

    Source: Vaswani et al. 2017, section 3.2.3, https://arxiv.org/abs/1706.03762.
    """

    name = "causal"

    def lacks(self, here: Geometry) -> str:
        return "" if here.timed.any() else "a history of steps"

    def window(self, here: Geometry, reach: int) -> Bool[np.ndarray, "N N"]:
        return here.step <= here.step[:, None]


@WHERES.register("spatial", "tokens of the asker's own step")
class Spatial(Window):
    """See one's own step: `step_n = step_q`. Tokens without a step are of the present.

    Source: Bertasius et al. 2021, Is space-time attention all you need for video understanding?,
        section 3 (space attention), https://arxiv.org/abs/2102.05095.
    """

    name = "spatial"

    def lacks(self, here: Geometry) -> str:
        if not here.timed.any():
            return "a history of steps"
        steps, counts = np.unique(here.step, return_counts=True)
        return "" if counts.max() > 1 else f"several tokens in a step, not {len(steps)} of one each"

    def window(self, here: Geometry, reach: int) -> Bool[np.ndarray, "N N"]:
        return here.step == here.step[:, None]


@WHERES.register("temporal", "tokens of other steps at the asker's own place, and itself")
class Temporal(Window):
    """See one's own place in other steps: same key, row and column. Others see only themselves.

    Off grids, the i-th tokens of all steps of one key share a place.

    Source: Bertasius et al. 2021, section 3 (time attention of divided space-time attention),
        https://arxiv.org/abs/2102.05095.
    """

    name = "temporal"

    def lacks(self, here: Geometry) -> str:
        return "" if len(np.unique(here.spot)) < len(here.spot) else "a history of steps"

    def window(self, here: Geometry, reach: int) -> Bool[np.ndarray, "N N"]:
        return here.spot == here.spot[:, None]


def distance(places: Float[np.ndarray, "N"]) -> Float[np.ndarray, "N N"]:
    """Return how far apart places on one axis are; NaN where one of the two is unknown."""
    return np.abs(places[:, None] - places)
