"""Rows of a table as tokens: objects of a scene, or steps of the past."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from attention_agents.envs.tokens.specs import Entities, History
from attention_agents.policies.attention.linear import Projection
from attention_agents.policies.tokens import Tokens


class RowContent(nn.Module):
    """Embed a row of F numbers: `output(relu(inner(x)))`."""

    def __init__(self, features: int, width: int):
        super().__init__()
        self.inner = Projection(features, width, gain=2**0.5)
        self.output = Projection(width, width, gain=2**0.5)

    def forward(self, rows: Float[Tensor, "B N F"]) -> Float[Tensor, "B N D"]:
        return self.output(torch.relu(self.inner(rows)))


class EntityTokenizer(nn.Module):
    """Make each row an object; rows whose presence column is 0 are absent, whatever they hold.

    An object with all features at 0 is present all the same: only the presence column decides.
    """

    is_ego: Tensor

    def __init__(self, spec: Entities, width: int):
        super().__init__()
        self.presence, self.ego, self.position = spec.presence, spec.ego, spec.position
        self.content = RowContent(len(spec.features), width)
        if spec.ego is not None:
            self.ego_mark = nn.Parameter(torch.randn(width))
            is_ego = torch.zeros(spec.count, 1)
            is_ego[spec.ego] = 1.0
            self.register_buffer("is_ego", is_ego, persistent=False)

    def forward(self, obs: Float[Tensor, "B N F"]) -> Tokens:
        mask = None if self.presence is None else obs[:, :, self.presence] > 0.5
        if mask is not None:
            obs = blank_absent_rows(obs, mask)
        tokens = self.content(obs)
        if self.ego is not None:
            tokens = tokens + self.is_ego * self.ego_mark
        places = None if self.position is None else obs[:, :, self.position]  # (B, N, 2)
        return Tokens(tokens, mask, places)


class HistoryTokenizer(nn.Module):
    """Make each step of a window a token, plus how long ago it was.

    Steps from before the episode are absent.
    """

    def __init__(self, spec: History, width: int):
        super().__init__()
        self.content = RowContent(spec.features, width)
        self.age = nn.Parameter(torch.randn(spec.steps, width))

    def forward(self, obs: Float[Tensor, "B N F1"]) -> Tokens:
        present = obs[:, :, 0] > 0.5
        rows = blank_absent_rows(obs[:, :, 1:], present)
        return Tokens(self.content(rows) + self.age, present)


def blank_absent_rows(
    rows: Float[Tensor, "B N F"], present: Bool[Tensor, "B N"]
) -> Float[Tensor, "B N F"]:
    """Return rows of 0 for what is absent: NaN or inf there would go through a weight of 0."""
    return torch.where(present[:, :, None], rows, 0.0)
