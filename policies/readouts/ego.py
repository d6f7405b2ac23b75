"""The agent's own token reads all tokens."""

from __future__ import annotations

import itertools

from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.readouts.query_block import TokenQueryReadout
from attention_agents.policies.registries import READOUTS


@READOUTS.register("ego", "the agent's own token is the query")
class EgoQuery(TokenQueryReadout):
    """Read the tokens with the row of the agent's own token, zeros where it is absent.

    Source: Leurent and Mercat 2019, Social attention, https://arxiv.org/abs/1911.12250.
    """

    query_source = "ego"

    def find_row(self, context: LayerContext) -> int:
        """Return the index of the agent's own token.

        Raises:
            ValueError: there is none.
        """
        groups = () if context.layout is None else context.layout.groups
        starts = itertools.accumulate((len(group) for group in groups), initial=0)
        for start, group in zip(starts, groups, strict=False):
            if group.ego is not None:
                return start + group.ego
        raise ValueError(
            "readout 'ego' needs a token of the agent itself, and this observation has none; "
            "use readout='query'"
        )
