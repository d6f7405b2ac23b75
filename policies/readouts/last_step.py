"""The present step reads the steps before it."""

from __future__ import annotations

from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.readouts.history_steps import find_present_tokens
from attention_agents.policies.readouts.query_block import TokenQueryReadout
from attention_agents.policies.registries import READOUTS


@READOUTS.register(
    "present", "the token of the present step is the query; for a history of numbers"
)
class LastStepQuery(TokenQueryReadout):
    """Read the tokens with the row of the present step, zeros where it is absent.

    It is the last row of causal self-attention over the steps, as in a transformer that predicts
    what comes next, and costs O(N).

    Source: Vaswani et al. 2017, section 3.2.3, https://arxiv.org/abs/1706.03762.
    """

    query_source = "present step"

    def find_row(self, context: LayerContext) -> int:
        """Return the index of the one token of the present step.

        Raises:
            ValueError: no token stands in time, or the present step has several.
        """
        rows = find_present_tokens(context, "present")
        if len(rows) != 1:
            raise ValueError(
                f"readout 'present' needs one token of the present step, got {len(rows)}: none of "
                "them stands for the whole step; use readout='query', 'queries', or "
                "'attention-gru', which reads frame after frame"
            )
        return rows[0]
