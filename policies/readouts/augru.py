"""GRUs whose gates are attention: what matters for the present step changes the state."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from attention_agents.policies.attention.attention_weighting import AttentionWeighting
from attention_agents.policies.attention.layer_context import LayerContext
from attention_agents.policies.attention.linear import Projection
from attention_agents.policies.attention.tappable import TappableAttention
from attention_agents.policies.readouts.history_steps import order_single_tokens
from attention_agents.policies.readouts.readout import Readout
from attention_agents.policies.registries import READOUTS
from attention_agents.policies.tokens import Tokens


class AttentionalGRU(Readout):
    """Read a history by two GRUs; attention says how far each step may change the second.

    ```
    states_t = GRU(norm(tokens_t), states_{t-1})
    weights = attention(norm(tokens_T), states)
    candidate = tanh(c_x(states_t) + sigmoid(r_x(states_t) + r_h(h)) * c_h(h))
    h = h + update(weights_t, ...) * (candidate - h)
    ```

    Each head gates its own K channels. With softmax the weights of all steps sum to 1, so that
    long histories change h slowly; sigmoid gates do not compete. Steps that are absent, or weigh 0,
    leave h as it is. A subclass gives `update_gate`.

    Raises:
        ValueError: the observation is not a history with one token per step, or heads are mixed.
    """

    gates: int
    """Rows of width D that each linear map of the second GRU has."""

    def __init__(self, context: LayerContext, name: str):
        super().__init__(context)
        self.order = order_single_tokens(context, name)
        self.norm = nn.LayerNorm(context.width)
        self.first = nn.GRUCell(context.width, context.width)
        self.attention = StepAttention(context, self.order[-1], name)
        self.inputs = Projection(context.width, self.gates * context.width)
        self.states = Projection(context.width, self.gates * context.width)
        self.start = nn.Parameter(torch.zeros(context.width))

    def forward(self, tokens: Tokens) -> Float[Tensor, "B D"]:
        x = self.norm(tokens.values)
        B, _, D = x.shape
        states = self.run_first_gru(x, tokens.mask)
        weights = self.attention(x, states, tokens)  # (B, H, N)
        # each head's weight gates the K channels of that head
        gates = weights.repeat_interleave(D // weights.shape[1], 1).unbind(-1)  # N of (B, D)
        inputs = self.inputs(states).unbind(1)  # N of (B, gates * D)
        h = self.start.expand(B, -1)
        for n in self.order:
            # (B, D) each; the rest is the map of an update gate, where a subclass has one
            reset_x, candidate_x, *rest_x = inputs[n].chunk(self.gates, -1)
            reset_h, candidate_h, *rest_h = self.states(h).chunk(self.gates, -1)
            reset = torch.sigmoid(reset_x + reset_h)
            candidate = torch.tanh(candidate_x + reset * candidate_h)
            h = h + self.update_gate(gates[n], rest_x, rest_h) * (candidate - h)
        return h

    def run_first_gru(
        self, x: Float[Tensor, "B N D"], mask: Bool[Tensor, "B N"] | None
    ) -> Float[Tensor, "B N D"]:
        """Return the first GRU's state after each step; an absent step leaves it as it is."""
        state = x.new_zeros(x.shape[0], x.shape[2])
        steps, states = x.unbind(1), [state] * x.shape[1]
        for n in self.order:
            after = self.first(steps[n], state)
            state = after if mask is None else torch.where(mask[:, n, None], after, state)
            states[n] = state
        return torch.stack(states, 1)

    def update_gate(
        self, gate: Float[Tensor, "B D"], rest_x: list[Tensor], rest_h: list[Tensor]
    ) -> Float[Tensor, "B D"]:
        """Return how far the state goes towards its candidate, 0 to 1."""
        raise NotImplementedError


@READOUTS.register("augru", "a GRU whose update gate is times the attention (needs a history)")
class AUGRU(AttentionalGRU):
    """Multiply the update gate by the attention: `update = weights_t * sigmoid(u_x + u_h)`.

    Source: Zhou et al. 2019, Deep interest evolution network, section "Interest evolving layer",
        https://arxiv.org/abs/1809.03672. Differs: the target is the token of the present step; any
        score and normalizer, with H heads; the reset gate is applied after its linear map, as in
        torch's GRU; no auxiliary loss.
    """

    gates = 3

    def __init__(self, context: LayerContext):
        super().__init__(context, "augru")

    def update_gate(
        self, gate: Float[Tensor, "B D"], rest_x: list[Tensor], rest_h: list[Tensor]
    ) -> Float[Tensor, "B D"]:
        return gate * torch.sigmoid(rest_x[0] + rest_h[0])


@READOUTS.register("attgru", "a GRU with attention as its update gate (needs a history)")
class AttGRU(AttentionalGRU):
    """Replace the update gate by the attention: `update = weights_t`.

    Source: Xiong, Merity and Socher 2016, Dynamic memory networks for visual and textual question
        answering, section "Attention based GRU", https://arxiv.org/abs/1603.01417.
    Differs: the question is the token of the present step, asked once; facts are the states of a
        GRU that runs one way, as nothing is known of the future; H heads.
    """

    gates = 2

    def __init__(self, context: LayerContext):
        super().__init__(context, "attgru")

    def update_gate(
        self, gate: Float[Tensor, "B D"], rest_x: list[Tensor], rest_h: list[Tensor]
    ) -> Float[Tensor, "B D"]:
        return gate


class StepAttention(TappableAttention):
    """Let the present step weigh the states that a GRU had after each step.

    It reports (B, H, 1, N): the weight of a step is that of the state after it.

    Args:
        context: of the layer.
        row: the token of the present step, the query; zeros where it is absent.
        name: of the readout, for errors.
    """

    queries, query_source = "readout", "present step"

    def __init__(self, context: LayerContext, row: int, name: str):
        super().__init__()
        self.heads, self.row = context.heads, row
        self.query = Projection(context.width, context.width)
        self.key = Projection(context.width, context.width, bias=False)
        self.weighting = AttentionWeighting(replace(context, query_tokens=(row,)))
        self.normalized_over = self.weighting.normalized_over
        if self.weighting.head_mixing is not None:
            raise ValueError(
                f"readout {name!r} gives each head channels of its own to gate, so that heads "
                f"cannot be mixed, got head_mixing={context.attention.head_mixing!r}; use "
                "head_mixing='concat'"
            )

    def forward(
        self, x: Float[Tensor, "B N D"], states: Float[Tensor, "B N D"], tokens: Tokens
    ) -> Float[Tensor, "B H N"]:
        B, N, D = x.shape
        H, K, weighting = self.heads, D // self.heads, self.weighting
        present_step = x[:, self.row]  # (B, D)
        if tokens.mask is not None:
            present_step = torch.where(tokens.mask[:, self.row, None], present_step, 0.0)
        q = self.query(present_step).view(B, H, 1, K)
        k = self.key(states).view(B, N, H, K).transpose(1, 2)  # (B, H, N, K)
        visible, bias = (
            weighting.visible_tokens(tokens.mask),
            weighting.score_bias(q, tokens.places),
        )
        weights = weighting(weighting.score(q, k), visible, bias)  # (B, H, 1, N)
        if self.listeners:
            self.report(weights._replace(mask=tokens.mask))
        return weights.weights[:, :, 0]
