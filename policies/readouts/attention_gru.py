"""A recurrent state that reads tokens step by step: attention from the top down."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.attention.multi_head import QueryAttention
from attention_agents.policies.attention.tappable import AttentionWeights, TappableAttention
from attention_agents.policies.readouts.history_steps import group_steps
from attention_agents.policies.readouts.per_step_tokens import PastTokens, StepTokens
from attention_agents.policies.readouts.readout import Readout
from attention_agents.policies.registries import READOUTS
from attention_agents.policies.tokens import Tokens


class AttentionGRUCell(nn.Module):
    """Let a state read tokens, and change by what it read and by what is there.

    ```
    context = attention(state, norm(tokens))
    state = GRU(concat(context, mean(norm(tokens))), state)
    ```

    Where no token is present the state stays as it is. Between calls the state is the caller's to
    keep: a readout takes it through a window of steps, a recurrent policy from call to call.

    Args:
        context: of the layer; its tokens are those that are read in one call.
        queries: see `TappableAttention.queries`.

    Source: Bahdanau, Cho and Bengio 2015, section 3.1 and appendix A.1.2,
        https://arxiv.org/abs/1409.0473 (with the score "additive" the attention is theirs); Mott et
        al. 2019, Towards interpretable reinforcement learning using attention augmented agents,
        https://arxiv.org/abs/1906.02500, for a state that is the query in an agent.
    Differs: the input is the mean of the present tokens, in place of the last word written; any
        score and normalizer, with H heads.
    """

    def __init__(self, context: LayerContext, queries: str = "readout"):
        super().__init__()
        self.norm = nn.LayerNorm(context.width)
        context = replace(
            context, query_tokens=None, gain=1.0
        )  # what was read is added to no stream
        self.attention = QueryAttention(context, queries, "recurrent state")
        self.gru = nn.GRUCell(2 * context.width, context.width)

    def forward(self, state: Float[Tensor, "B D"], tokens: Tokens) -> Float[Tensor, "B D"]:
        tokens = self.normalize_tokens(tokens)
        N = tokens.values.shape[1]
        mean, is_present = step_means(tokens, tokens.values.new_ones(1, N))  # (B, 1, D), (B, 1, 1)
        is_present = None if is_present is None else is_present[:, 0]
        return self.advance_state(state, tokens, mean[:, 0], is_present)

    def normalize_tokens(self, tokens: Tokens) -> Tokens:
        """Return the tokens as `advance_state` takes them."""
        return tokens._replace(values=self.norm(tokens.values))

    def advance_state(
        self,
        state: Float[Tensor, "B D"],
        tokens: Tokens,
        mean: Float[Tensor, "B D"],
        is_present: Bool[Tensor, "B 1"] | None,
    ) -> Float[Tensor, "B D"]:
        """Return the state after a step.

        Args:
            state: before it.
            tokens: normed, which the state reads.
            mean: of the step's own tokens.
            is_present: where there is such a step; None when everywhere.
        """
        context = self.attention(state[:, None], tokens)[:, 0]  # (B, D)
        after = self.gru(torch.cat([context, mean], 1), state)
        return after if is_present is None else torch.where(is_present, after, state)


@READOUTS.register(
    "attention-gru", "a GRU reads a history step by step, its state is the query (needs a history)"
)
class AttentionGRU(Readout):
    """Take a learned state through the steps of a history, oldest first, and give the last one.

    At step t the query is the state before it. In a history of numbers, one token per step, it
    reads the steps up to t; in a history of frames, the tokens of frame t. Steps from before the
    episode leave the state as it is.

    It reports one row per step (B, H, T, N), the present step's last; rows of absent steps are 0.

    Raises:
        ValueError: the observation is of one step.

    Source: see `AttentionGRUCell`. Differs: the state starts from a learned vector, anew for every
        window, as no state is kept between the calls of a policy without recurrence.
    """

    step_tokens: Tensor
    """(T, N), 1 at the tokens of each step."""

    def __init__(self, context: LayerContext):
        super().__init__(context)
        steps = group_steps(context, "attention-gru")
        is_numbers = all(len(step) == 1 for step in steps[:-1])
        self.visible_steps = (PastTokens if is_numbers else StepTokens)(context, steps)
        self.cell = AttentionGRUCell(self.visible_steps.context, "steps")
        self.start = nn.Parameter(torch.zeros(context.width))
        step_tokens = torch.zeros(len(steps), context.num_tokens)
        for t, step in enumerate(steps):
            step_tokens[t, list(step)] = 1
        self.register_buffer("step_tokens", step_tokens, persistent=False)

    def forward(self, tokens: Tokens) -> Float[Tensor, "B D"]:
        attention = self.cell.attention
        if not attention.listeners:
            return self.run_steps(tokens)
        # the cell reports a row per step; listeners get one map of all steps in their place
        with collect_reports(attention) as reports:
            state = self.run_steps(tokens)
        attention.report(self.join_reports(reports, tokens.mask))
        return state

    def run_steps(self, tokens: Tokens) -> Float[Tensor, "B D"]:
        """Return the state after the last step."""
        tokens = self.cell.normalize_tokens(tokens)
        state = self.start.expand(tokens.values.shape[0], -1)  # (B, D)
        means, is_present = step_means(tokens, self.step_tokens)  # (B, T, D), (B, T, 1)
        steps = zip(self.visible_steps(tokens), means.unbind(1), strict=True)
        for t, (visible, mean) in enumerate(steps):
            present = None if is_present is None else is_present[:, t]
            state = self.cell.advance_state(state, visible, mean, present)
        return state

    def join_reports(
        self, reports: list[AttentionWeights], mask: Bool[Tensor, "B N"] | None
    ) -> AttentionWeights:
        """Join what was reported step by step."""
        weights = self._join_rows([report.weights for report in reports], mask)
        soft = [report.soft for report in reports if report.soft is not None]
        joined_soft = self._join_rows(soft, mask) if soft else None
        return AttentionWeights(weights, mask, joined_soft, reports[-1].heads)

    def _join_rows(self, steps: list[Tensor], mask: Tensor | None) -> Float[Tensor, "B H T N"]:
        rows = self.visible_steps.scatter_weights(torch.cat(steps, 2))
        if mask is None:
            return rows
        is_present = (mask[:, None] & self.step_tokens.bool()).any(-1)  # (B, T)
        return torch.where(is_present[:, None, :, None], rows, 0.0)


def step_means(
    tokens: Tokens, step_tokens: Float[Tensor, "T N"]
) -> tuple[Float[Tensor, "B T D"], Bool[Tensor, "B T 1"] | None]:
    """Return the mean of each step's present tokens, and which steps have any (None: all).

    Args:
        tokens: of all steps.
        step_tokens: 1 at the tokens of each step.
    """
    if tokens.mask is not None:
        step_tokens = step_tokens * tokens.mask[:, None].to(step_tokens.dtype)  # (B, T, N)
    count = step_tokens.sum(-1, keepdim=True)  # (B, T, 1)
    means = (step_tokens / count.clamp(min=1)) @ tokens.values
    return means, None if tokens.mask is None else count > 0


@contextmanager
def collect_reports(attention: TappableAttention) -> Iterator[list[AttentionWeights]]:
    """Collect what a module reports, in place of its listeners."""
    listeners, reports = attention.listeners, []
    attention.listeners = (reports.append,)
    try:
        yield reports
    finally:
        attention.listeners = listeners
