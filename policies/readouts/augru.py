"""GRUs whose gates are attention: what matters for the present step changes the state."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from attention_agents.policies.attention import Attentive, Heard, Projection, Site, Weighing
from attention_agents.policies.readouts.history_steps import line_of
from attention_agents.policies.readouts.readout import READOUTS, Readout
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
    leave h as it is. A subclass gives `update`.

    Raises:
        ValueError: the observation is not a history with one token per step, or heads are mixed.
    """

    gates: int
    """Rows of width D that each linear map of the second GRU has."""

    def __init__(self, site: Site, name: str):
        super().__init__(site)
        self.line = line_of(site, name)
        self.norm = nn.LayerNorm(site.width)
        self.first = nn.GRUCell(site.width, site.width)
        self.attention = StepAttention(site, self.line[-1], name)
        self.inputs = Projection(site.width, self.gates * site.width)
        self.states = Projection(site.width, self.gates * site.width)
        self.start = nn.Parameter(torch.zeros(site.width))

    def forward(self, tokens: Tokens) -> Float[Tensor, "B D"]:
        x = self.norm(tokens.values)
        B, _, D = x.shape
        states = self.evolve(x, tokens.mask)
        weights = self.attention(x, states, tokens)  # (B, H, N)
        gates = weights.repeat_interleave(D // weights.shape[1], 1).unbind(-1)  # N of (B, D)
        inputs = self.inputs(states).unbind(1)  # N of (B, gates * D)
        h = self.start.expand(B, -1)
        for n in self.line:
            reset_x, candidate_x, *rest_x = inputs[n].chunk(self.gates, -1)
            reset_h, candidate_h, *rest_h = self.states(h).chunk(self.gates, -1)
            reset = torch.sigmoid(reset_x + reset_h)
            candidate = torch.tanh(candidate_x + reset * candidate_h)
            h = h + self.update(gates[n], rest_x, rest_h) * (candidate - h)
        return h

    def evolve(
        self, x: Float[Tensor, "B N D"], mask: Bool[Tensor, "B N"] | None
    ) -> Float[Tensor, "B N D"]:
        """Return the first GRU's state after each step; an absent step leaves it as it is."""
        state = x.new_zeros(x.shape[0], x.shape[2])
        steps, states = x.unbind(1), [state] * x.shape[1]
        for n in self.line:
            after = self.first(steps[n], state)
            state = after if mask is None else torch.where(mask[:, n, None], after, state)
            states[n] = state
        return torch.stack(states, 1)

    def update(
        self, gate: Float[Tensor, "B D"], rest_x: list[Tensor], rest_h: list[Tensor]
    ) -> Float[Tensor, "B D"]:
        """Return how far the state goes towards its candidate, 0 to 1."""
        raise NotImplementedError


@READOUTS.register("augru", "a GRU whose update gate is times the attention (needs a history)")
class AUGRU(AttentionalGRU):
    """Multiply the update gate by the attention: `update = weights_t * sigmoid(u_x + u_h)`.

    Source: Zhou et al. 2019, Deep interest evolution network, section "Interest evolving layer",
        https://arxiv.org/abs/1809.03672. Differs: the target is the token of the present step; any
        score and normaliser, with H heads; the reset gate is applied after its linear map, as in
        torch's GRU; no auxiliary loss.
    """

    gates = 3

    def __init__(self, site: Site):
        super().__init__(site, "augru")

    def update(
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

    def __init__(self, site: Site):
        super().__init__(site, "attgru")

    def update(
        self, gate: Float[Tensor, "B D"], rest_x: list[Tensor], rest_h: list[Tensor]
    ) -> Float[Tensor, "B D"]:
        return gate


class StepAttention(Attentive):
    """Let the present step weigh the states that a GRU had after each step.

    It tells (B, H, 1, N): the weight of a step is that of the state after it.

    Args:
        site: where it stands.
        row: the token of the present step; zeros ask where it is absent.
        name: of the readout, for errors.
    """

    queries, asker = "readout", "present step"

    def __init__(self, site: Site, row: int, name: str):
        super().__init__()
        self.heads, self.row = site.heads, row
        self.query = Projection(site.width, site.width)
        self.key = Projection(site.width, site.width, bias=False)
        self.weighing = Weighing(replace(site, askers=(row,)))
        self.normalised_over = self.weighing.normalised_over
        if self.weighing.mix.talks or self.weighing.mix.heads() is not None:
            raise ValueError(
                f"readout {name!r} gives each head channels of its own to gate, so that heads "
                f"cannot be mixed, got mix={site.mechanism.mix!r}; use mix='concat'"
            )

    def forward(
        self, x: Float[Tensor, "B N D"], states: Float[Tensor, "B N D"], tokens: Tokens
    ) -> Float[Tensor, "B H N"]:
        B, N, D = x.shape
        H, K, weighing = self.heads, D // self.heads, self.weighing
        asker = x[:, self.row]
        if tokens.mask is not None:
            asker = torch.where(tokens.mask[:, self.row, None], asker, 0.0)
        q = self.query(asker).view(B, H, 1, K)
        k = self.key(states).view(B, N, H, K).transpose(1, 2)  # (B, H, N, K)
        visible, bias = weighing.visible(tokens.mask), weighing.bias(q, tokens.places)
        weighed = weighing(weighing.score(q, k), visible, bias)
        if self.listeners:
            self.tell(Heard(weighed.weights, tokens.mask, weighed.soft))
        return weighed.weights[:, :, 0]
