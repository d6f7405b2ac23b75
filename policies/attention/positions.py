"""What the distance between asker and token adds to a score."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from attention_agents.policies.attention.mechanism import Site
from attention_agents.policies.attention.registry import Registry

POSITIONS: Registry[type[Positions]] = Registry("positions")


class Positions(nn.Module):
    """Add a bias to scores, from where asker and token stand.

    A subclass gives `forward`.

    Raises:
        ValueError: the tokens or the queries have no places.
    """

    needs_askers = False
    """Whether queries must be tokens, with a place of their own."""

    def __init__(self, site: Site):
        super().__init__()

    def forward(self, places: Float[Tensor, "B N 2"] | None) -> Float[Tensor, "#B H Q N"] | None:
        """Return what is added to the scores, all finite; None for nothing.

        Args:
            places: x and y of each token, in the environment's own units; None where tokens have
                none beside those of the layout.
        """
        raise NotImplementedError


@POSITIONS.register("none", "tokens know their places by their embedding alone")
class NoPositions(Positions):
    """Add nothing."""

    def forward(self, places: Float[Tensor, "B N 2"] | None) -> None:
        return None
