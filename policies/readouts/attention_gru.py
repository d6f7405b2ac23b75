"""A recurrent state that looks, step by step: attention from the top down."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from attention_agents.policies.attention import Attentive, Heard, QueryAttention, Site
from attention_agents.policies.readouts.history_steps import steps_of
from attention_agents.policies.readouts.per_step_tokens import Frame, Window
from attention_agents.policies.readouts.readout import READOUTS, Readout
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
        site: where it stands: `keys` and `layout` are of the tokens that it reads in one call.
        queries: see `Attentive.queries`.

    Source: Bahdanau, Cho and Bengio 2015, section 3.1 and appendix A.1.2,
        https://arxiv.org/abs/1409.0473 (with the score "additive" the attention is theirs); Mott et
        al. 2019, Towards interpretable reinforcement learning using attention augmented agents,
        https://arxiv.org/abs/1906.02500, for a state that asks in an agent.
    Differs: the input is the mean of the present tokens, in place of the last word written; any
        score and normaliser, with H heads.
    """

    def __init__(self, site: Site, queries: str = "readout"):
        super().__init__()
        self.norm = nn.LayerNorm(site.width)
        site = replace(site, askers=None, gain=1.0)  # what was read is added to no stream
        self.attention = QueryAttention(site, queries, "recurrent state")
        self.gru = nn.GRUCell(2 * site.width, site.width)

    def forward(self, state: Float[Tensor, "B D"], tokens: Tokens) -> Float[Tensor, "B D"]:
        tokens = self.normed(tokens)
        N = tokens.values.shape[1]
        entry, here = step_means(tokens, tokens.values.new_ones(1, N))
        return self.step(state, tokens, entry[:, 0], None if here is None else here[:, 0])

    def normed(self, tokens: Tokens) -> Tokens:
        """Return the tokens as `step` takes them."""
        return tokens._replace(values=self.norm(tokens.values))

    def step(
        self,
        state: Float[Tensor, "B D"],
        seen: Tokens,
        entry: Float[Tensor, "B D"],
        here: Bool[Tensor, "B 1"] | None,
    ) -> Float[Tensor, "B D"]:
        """Return the state after a step.

        Args:
            state: before it.
            seen: normed tokens, which the state reads.
            entry: the step's own input.
            here: where there is such a step; None when everywhere.
        """
        context = self.attention(state[:, None], seen)[:, 0]
        after = self.gru(torch.cat([context, entry], 1), state)
        return after if here is None else torch.where(here, after, state)


@READOUTS.register(
    "attention-gru", "a GRU reads a history step by step, and its state asks (needs a history)"
)
class AttentionGRU(Readout):
    """Take a learned state through the steps of a history, oldest first, and give the last one.

    At step t the state before it asks. In a history of numbers, one token per step, it reads the
    steps up to t; in a history of frames, the tokens of frame t. Steps from before the episode
    leave the state as it is.

    It tells one row per step (B, H, T, N), the present step's last; rows of absent steps are 0.

    Raises:
        ValueError: the observation is of one step.

    Source: see `AttentionGRUCell`. Differs: the state starts from a learned vector, anew for every
        window, as no state is kept between the calls of a policy without recurrence.
    """

    own: Tensor

    def __init__(self, site: Site):
        super().__init__(site)
        steps = steps_of(site, "attention-gru")
        one_each = all(len(step) == 1 for step in steps[:-1])
        self.glimpses = (Window if one_each else Frame)(site, steps)
        self.cell = AttentionGRUCell(self.glimpses.site, "steps")
        self.start = nn.Parameter(torch.zeros(site.width))
        own = torch.zeros(len(steps), site.keys)  # (T, N), 1 at the tokens of each step
        for t, step in enumerate(steps):
            own[t, list(step)] = 1
        self.register_buffer("own", own, persistent=False)

    def forward(self, tokens: Tokens) -> Float[Tensor, "B D"]:
        attention = self.cell.attention
        if not attention.listeners:
            return self.read(tokens)
        with overheard(attention) as heard:
            state = self.read(tokens)
        attention.tell(self.joined(heard, tokens.mask))
        return state

    def read(self, tokens: Tokens) -> Float[Tensor, "B D"]:
        """Return the state after the last step."""
        tokens = self.cell.normed(tokens)
        state = self.start.expand(tokens.values.shape[0], -1)
        entries, here = step_means(tokens, self.own)
        steps = zip(self.glimpses(tokens), entries.unbind(1), strict=True)
        for t, (seen, entry) in enumerate(steps):
            state = self.cell.step(state, seen, entry, None if here is None else here[:, t])
        return state

    def joined(self, heard: list[Heard], mask: Bool[Tensor, "B N"] | None) -> Heard:
        """Join what was told step by step."""
        weights = self._rows([each.weights for each in heard], mask)
        soft = [each.soft for each in heard if each.soft is not None]
        return Heard(weights, mask, self._rows(soft, mask) if soft else None, heard[-1].heads)

    def _rows(self, steps: list[Tensor], mask: Tensor | None) -> Float[Tensor, "B H T N"]:
        rows = self.glimpses.spread(torch.cat(steps, 2))
        if mask is None:
            return rows
        here = (mask[:, None] & self.own.bool()).any(-1)  # (B, T)
        return torch.where(here[:, None, :, None], rows, 0.0)


def step_means(
    tokens: Tokens, own: Float[Tensor, "T N"]
) -> tuple[Float[Tensor, "B T D"], Bool[Tensor, "B T 1"] | None]:
    """Return the mean of each step's present tokens, and which steps have any (None: all).

    Args:
        tokens: of all steps.
        own: 1 at the tokens of each step.
    """
    if tokens.mask is not None:
        own = own * tokens.mask[:, None].to(own.dtype)  # (B, T, N)
    count = own.sum(-1, keepdim=True)
    means = (own / count.clamp(min=1)) @ tokens.values
    return means, None if tokens.mask is None else count > 0


@contextmanager
def overheard(attention: Attentive) -> Iterator[list[Heard]]:
    """Collect what a module tells, in place of those who listen to it."""
    listeners, heard = attention.listeners, []
    attention.listeners = (heard.append,)
    try:
        yield heard
    finally:
        attention.listeners = listeners
