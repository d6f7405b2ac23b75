"""What every kind of visibility is."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.attention.token_geometry import describe_tokens


class Visibility(nn.Module):
    """Say which tokens each query may see, and how much nearer ones are preferred.

    A subclass sets `visible`, or gives `forward`, or both.

    Raises:
        ValueError: the tokens or the queries do not stand where this needs them to.
    """

    visible: Tensor | None
    """(Q, N) bool buffer, True where query q may see token n; None when it may see all."""
    needs_query_tokens = False
    """Whether queries must be tokens, with a place of their own."""

    def __init__(self, context: LayerContext):
        super().__init__()
        self.register_buffer("visible", None, persistent=False)

    def forward(self, q: Float[Tensor, "B H Q K"]) -> Float[Tensor, "#B #H Q N"] | None:
        """Return what is added to the scores, all finite; None for nothing."""
        return None


def visibility_error(word: str, need: str, context: LayerContext) -> ValueError:
    """Return the error of a layout that lacks what a kind of visibility needs."""
    return ValueError(
        f"visibility={word!r} needs {need}, and these are {describe_tokens(context.layout)}; use "
        "visibility='global'"
    )
