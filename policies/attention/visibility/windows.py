"""Windows: what a query may see, by the places of its own token and of the others."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float

from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.attention.token_geometry import Geometry
from attention_agents.policies.attention.visibility.visibility import Visibility, visibility_error
from attention_agents.policies.registries import VISIBILITIES


class FixedVisibility(Visibility):
    """See the tokens that stand in a fixed relation to the query's own token.

    A subclass gives `word`, `missing_structure` and `visibility_matrix`.
    """

    needs_query_tokens = True
    word: str
    """In the registry."""

    def __init__(self, context: LayerContext):
        super().__init__(context)
        geometry = Geometry.of(context.layout)
        need = self.missing_structure(geometry)
        if need:
            raise visibility_error(self.word, need, context)
        if context.query_tokens is None:
            raise ValueError(f"visibility={self.word!r} needs queries that are tokens, got none")
        matrix = self.visibility_matrix(geometry, context.attention.window)  # (N, N)
        visible = matrix[list(context.query_tokens)]  # (Q, N)
        if not visible.all():
            self.visible = torch.from_numpy(visible)

    def missing_structure(self, geometry: Geometry) -> str:
        """Return what the tokens lack to be seen this way; empty when nothing."""
        raise NotImplementedError

    def visibility_matrix(self, geometry: Geometry, window: int) -> Bool[np.ndarray, "N N"]:
        """Return True where [query token, token] is seen."""
        raise NotImplementedError


@VISIBILITIES.register("local", "tokens within `window` cells and steps of the query")
class Local(FixedVisibility):
    """See what is near: `max(|row_n - row_q|, |col_n - col_q|) <= window`, and likewise in time.

    The window is a square around the query's token on its own grid, and `window` steps to both
    sides. What has no distance to it is near: tokens off grids, on another grid, or without a step.

    Source: Luong et al. 2015, Effective approaches to attention-based neural machine translation,
        section 3.2 (local-m), https://arxiv.org/abs/1508.04025; on grids, Ramachandran et al.
        2019, Stand-alone self-attention, section 3, https://arxiv.org/abs/1906.05909; with tokens
        that see and are seen by all, Beltagy et al. 2020, Longformer, section 3.1,
        https://arxiv.org/abs/2004.05150.
    Differs: computed as a mask over all N tokens, so that it costs as much as global attention.
    """

    word = "local"

    def missing_structure(self, geometry: Geometry) -> str:
        return "" if geometry.grid_ids or geometry.has_time.any() else "tokens on a grid or in time"

    def visibility_matrix(self, geometry: Geometry, window: int) -> Bool[np.ndarray, "N N"]:
        far = (
            np.fmax(pairwise_distance(geometry.row_index), pairwise_distance(geometry.column_index))
            > window
        )
        far_in_time = (
            pairwise_distance(geometry.time_offset) > window
        )  # an unknown distance, NaN, is not far
        return ~(geometry.same_grid & far | far_in_time)


@VISIBILITIES.register("causal", "tokens of the query's own step or earlier")
class Causal(FixedVisibility):
    """See no later step than one's own: `step_n <= step_q`.

    Tokens without a step are of the present: they see all, and only the present sees them.

    Source: Vaswani et al. 2017, section 3.2.3, https://arxiv.org/abs/1706.03762.
    """

    word = "causal"

    def missing_structure(self, geometry: Geometry) -> str:
        return "" if geometry.has_time.any() else "a history of steps"

    def visibility_matrix(self, geometry: Geometry, window: int) -> Bool[np.ndarray, "N N"]:
        return geometry.step_offset <= geometry.step_offset[:, None]


@VISIBILITIES.register("spatial", "tokens of the query's own step")
class Spatial(FixedVisibility):
    """See one's own step: `step_n = step_q`. Tokens without a step are of the present.

    Source: Bertasius et al. 2021, Is space-time attention all you need for video understanding?,
        section 3 (space attention), https://arxiv.org/abs/2102.05095.
    """

    word = "spatial"

    def missing_structure(self, geometry: Geometry) -> str:
        if not geometry.has_time.any():
            return "a history of steps"
        steps, counts = np.unique(geometry.step_offset, return_counts=True)
        return "" if counts.max() > 1 else f"several tokens in a step, not {len(steps)} of one each"

    def visibility_matrix(self, geometry: Geometry, window: int) -> Bool[np.ndarray, "N N"]:
        return geometry.step_offset == geometry.step_offset[:, None]


@VISIBILITIES.register("temporal", "tokens of other steps at the query's own place, and itself")
class Temporal(FixedVisibility):
    """See one's own place in other steps: same key, row and column. Others see only themselves.

    Off grids, the i-th tokens of all steps of one key share a place.

    Source: Bertasius et al. 2021, section 3 (time attention of divided space-time attention),
        https://arxiv.org/abs/2102.05095.
    """

    word = "temporal"

    def missing_structure(self, geometry: Geometry) -> str:
        return "" if len(np.unique(geometry.track)) < len(geometry.track) else "a history of steps"

    def visibility_matrix(self, geometry: Geometry, window: int) -> Bool[np.ndarray, "N N"]:
        return geometry.track == geometry.track[:, None]


def pairwise_distance(places: Float[np.ndarray, "N"]) -> Float[np.ndarray, "N N"]:
    """Return how far apart places on one axis are; NaN where one of the two is unknown."""
    return np.abs(places[:, None] - places)
