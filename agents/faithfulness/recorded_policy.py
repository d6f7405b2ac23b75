"""A policy in one recorded episode, ready to be asked with tokens removed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from attention_agents.agents.faithfulness.output_distance import Said
from attention_agents.agents.faithfulness.policy_reader import Reader, reader_of
from attention_agents.agents.faithfulness.recorded_states import Recorded, States
from attention_agents.policies.inspect.attention_modules import attention_extractors
from attention_agents.policies.inspect.token_removal import RemovalVariants, TokenRemoval
from attention_agents.recording.reader import Episode

FLOATS_AT_ONCE = 2_000_000
"""Numbers of the largest tensor of a pass: more do not make it faster, and take memory."""
OFF = 2e-3
"""Probabilities, and others in units of their range, may differ so much from the recorded ones."""


@dataclass(frozen=True)
class Subject:
    """A policy, and the T states of an episode that it was recorded in."""

    policy: Any
    reader: Reader
    removal: TokenRemoval
    states: States
    said: Said
    """What it says with all tokens there."""
    present: Bool[np.ndarray, "T N"]
    """True where a token is present."""
    role: str
    """Of the extractor that acts."""

    @classmethod
    def of(cls, policy: Any, normalise: Callable[[Any], Any], episode: Episode) -> Subject:
        """Ask a policy for what it said in an episode.

        Args:
            policy: of SB3, in evaluation mode.
            normalise: what is done to observations before the policy sees them.
            episode: a recorded one.

        Raises:
            ValueError: the policy has no attention, or is another than the recorded one.
        """
        check_layout(policy, episode)
        reader, removal = reader_of(policy), TokenRemoval(policy)
        recorded = Recorded.read(episode)
        states = reader.remembering(recorded.states(policy, normalise, reader.masked))
        role = next(role for role in removal.extractors if role != "critic")
        said, present = [], []
        with torch.no_grad(), removal.measure_means(), removal.capture_tokens() as tokens:
            for part in _parts(len(states), states_at_once(removal, role)):
                some = states[part]
                said.append(reader.ask(some, torch.arange(len(some), device=policy.device)))
                values, mask, _ = tokens[role]
                there = values.new_ones(values.shape[:2]).bool() if mask is None else mask
                present.append(there.cpu().numpy())
        whole = _joined(said)
        check_said(reader.kind.distribution(whole), recorded, episode)
        return cls(policy, reader, removal, states, whole, np.concatenate(present), role)

    @property
    def scale(self) -> float:
        """The change of the policy that counts as large."""
        return self.reader.kind.scale(self.said)

    def without(self, rows: Int[np.ndarray, "V"], removed: Bool[np.ndarray, "V N"]) -> Said:
        """Return what the policy says without some tokens.

        Args:
            rows: which state each of V questions is about; neighbours should be about the same one.
            removed: True where a token is removed.
        """
        device = self.policy.device
        said = []
        with torch.no_grad():
            for part in _parts(len(rows), states_at_once(self.removal, self.role)):
                low, high = int(rows[part].min()), int(rows[part].max()) + 1
                own = torch.as_tensor(rows[part] - low, device=device)
                variants = RemovalVariants(own, torch.as_tensor(removed[part], device=device))
                with self.removal.remove_tokens(variants):
                    said.append(self.reader.ask(self.states[low:high], own))
        return _joined(said)

    def changes(self, rows: Int[np.ndarray, "V"], after: Said) -> Float[np.ndarray, "V"]:
        """Return how far answers lie from what is said with all tokens there, in `kind.unit`."""
        index = torch.as_tensor(rows, device=self.policy.device)
        before, chosen = self.said.rows(index), self.states.chosen[index]
        return self.reader.kind.change(before, after, chosen).cpu().numpy()


def check_layout(policy: Any, episode: Episode) -> None:
    """Refuse an episode whose tokens are not the policy's.

    Raises:
        ValueError: they are others, or the policy has no attention.
    """
    role, extractor = next(e for e in attention_extractors(policy).items() if e[0] != "critic")
    own, recorded = extractor.layout, episode.header.layout
    if own != recorded:
        raise ValueError(
            f"the recording {episode.folder.parent} is of another run: it has {len(recorded)} "
            f"tokens ({_groups(recorded)}), the {role} of this policy {len(own)} ({_groups(own)})"
        )


def check_said(said: np.ndarray, recorded: Recorded, episode: Episode) -> None:
    """Refuse a policy that does not say what was recorded.

    Raises:
        ValueError: it says something else.
    """
    before = recorded.distribution
    after = said.reshape(before.shape).astype(np.float64)
    known = ~np.isnan(before).any((1, 2)) & recorded.attended
    if not known.any():
        return
    spread = 1.0
    if episode.header.distribution != "probabilities":
        spread = max(float(np.ptp(before[known])), 1e-3)
    off = float(np.abs(after - before)[known].max()) / spread
    if not off <= OFF:
        raise ValueError(
            f"the policy does not say what was recorded in {episode.folder} (off by {off:.2g}): "
            "the recording is of another run or checkpoint; name the right one with --checkpoint"
        )


def states_at_once(removal: TokenRemoval, role: str) -> int:
    """Return how many variants are worth to be computed at a time."""
    site = removal.extractors[role].site
    return max(8, FLOATS_AT_ONCE // (site.keys * max(4 * site.width, site.heads * site.keys)))


def _parts(count: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def _joined(said: list[Said]) -> Said:
    parts: list[tuple[Tensor | None, ...]] = list(zip(*said, strict=True))
    return Said(*(None if p[0] is None else torch.cat(p) for p in parts))  # type: ignore[arg-type]


def _groups(layout: Any) -> str:
    return ", ".join(f"{len(group)} {group.key or group.kind}" for group in layout.groups)
