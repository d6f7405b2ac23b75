"""The end of an encoder: N tokens in, one vector out."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from attention_agents.policies.attention import Registry, Site
from attention_agents.policies.tokens import Tokens

READOUTS: Registry[type[Readout]] = Registry("readout")


class Readout(nn.Module):
    """Make one vector of all tokens.

    A subclass gives `forward`. Where no token is present, it gives a learned vector.

    Raises:
        ValueError: the tokens are not of the kind that this needs.
    """

    attends = True
    """Whether it is an attention layer itself, and so counts as the last of `layers`."""

    takes_asker = False
    """Whether `site.asker` means something to it."""

    def __init__(self, site: Site):
        super().__init__()

    def forward(self, tokens: Tokens) -> Float[Tensor, "B D"]:
        raise NotImplementedError
