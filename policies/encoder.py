"""From N tokens to one vector: blocks, then a readout.

With a readout that attends, the last layer computes only its own rows, so that `layers=1` costs
O(N); but for the readout "votes", where every token asks, in O(N^2), and for "attention-gru" on a
history of numbers, whose every step reads all steps before it.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from attention_agents.policies.attention import (
    POSITIONS,
    WHERES,
    Attentive,
    Mechanism,
    Site,
    Weighing,
)
from attention_agents.policies.blocks import BLOCKS
from attention_agents.policies.readouts import READOUTS
from attention_agents.policies.tokens import Tokens

MOST_LAYERS = 1000
"""More are a slip of the hand: they would take minutes to make."""


class Placed(NamedTuple):
    """An attention module, and the layer that it stands in."""

    layer: int
    """0 is the layer next to the observation."""
    attention: Attentive


class Encoder(nn.Module):
    """Turn tokens into one feature vector with `layers` attention layers.

    A readout that attends is itself the last layer; a pooling one follows `layers` blocks.

    Args:
        site: widths, heads, layout and mechanism; its gain is set here.
        layers: L >= 1.
        block: a name of `BLOCKS`.
        readout: a name of `READOUTS`.

    Raises:
        ValueError: a count below 1, width not a multiple of heads, an unknown name, or parts that
            do not go together.
    """

    def __init__(self, site: Site, layers: int, block: str = "residual", readout: str = "query"):
        super().__init__()
        check_sizes(site, layers)
        gain = (2 * layers) ** -0.5  # keeps the residual stream at unit size, as in GPT-2
        site = replace(site, gain=gain)
        end, middle = READOUTS[readout], BLOCKS[block]
        count = layers - end.attends
        if block != "residual" and count == 0:
            raise ValueError(
                f"block={block!r} needs a layer before the readout {readout!r}; use layers=2"
            )
        if site.asker and not end.takes_asker:
            raise ValueError(
                f"asker={site.asker!r} is for readouts that cross two keys, and {readout!r} does "
                "not; use readout='cross'"
            )
        everyone = replace(site, askers=tuple(range(site.keys)))
        self.blocks = nn.ModuleList(middle(everyone) for _ in range(count))
        self.readout = end(site)
        self.norm = nn.LayerNorm(site.width)
        check_used(site, self)

    def attentions(self) -> list[Placed]:
        """Return the attention modules, first layer first."""
        parts = [*self.blocks, self.readout]
        return [
            Placed(layer, module)
            for layer, part in enumerate(parts)
            for module in part.modules()
            if isinstance(module, Attentive)
        ]

    def states(self, tokens: Tokens) -> Tokens:
        """Return the tokens as the blocks leave them."""
        for block in self.blocks:
            tokens = block(tokens)
        return tokens

    def forward(self, tokens: Tokens) -> Float[Tensor, "B D"]:
        return self.norm(self.readout(self.states(tokens)))


def check_sizes(site: Site, layers: int) -> None:
    """Refuse sizes that no encoder can have.

    Raises:
        ValueError: a count below 1, more than `MOST_LAYERS`, or a width that is not a multiple of
            heads.
    """
    width, heads = site.width, site.heads
    sizes = {"width": width, "heads": heads, "layers": layers, "points": site.points}
    for name, value in sizes.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    if layers > MOST_LAYERS:
        raise ValueError(f"layers must be at most {MOST_LAYERS}, got {layers}")
    if width % heads:
        raise ValueError(
            f"width must be a multiple of heads, got width={width}, heads={heads}; "
            f"try width={heads * max(1, round(width / heads))}"
        )


def check_used(site: Site, encoder: Encoder) -> None:
    """Refuse words that this encoder would not act upon.

    Raises:
        ValueError: a mechanism, and nothing that it would weigh; or one that needs queries with
            places, and no such query.
    """
    mechanism, plain = site.mechanism, Mechanism()
    weighings = [module for module in encoder.modules() if isinstance(module, Weighing)]
    if not weighings and mechanism != plain:
        named = ", ".join(
            f"{field.name}={getattr(mechanism, field.name)!r}"
            for field in fields(mechanism)
            if getattr(mechanism, field.name) != getattr(plain, field.name)
        )
        raise ValueError(
            "this block and readout weigh tokens by a rule of their own, so the attention with "
            f"{named} would not be used; choose another block or readout"
        )
    used = {
        "where": {type(weighing.where) for weighing in weighings},
        "positions": {type(weighing.positions) for weighing in weighings},
    }
    for name, pieces in (("where", WHERES), ("positions", POSITIONS)):
        word = getattr(mechanism, name)
        if word != getattr(plain, name) and pieces[word] not in used[name]:
            raise ValueError(
                f"{name}={word!r} needs queries that stand somewhere, which learned queries and "
                "inducing points do not; use block='residual' and one layer more, or a readout "
                "whose query is a token, such as 'ego'"
            )
