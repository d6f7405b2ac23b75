"""Watching a policy: the attention maps of the very pass that chose the action."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from policies.attention import Listener, QueryAttention, SelfAttention
from policies.extractor import AttentionExtractor

ROLES = {
    "features_extractor": "actor",
    "pi_features_extractor": "actor",
    "vf_features_extractor": "critic",
    "actor.features_extractor": "actor",
    "critic.features_extractor": "critic",
    "q_net.features_extractor": "online",
    "quantile_net.features_extractor": "online",
}
"""Who uses an extractor, by its place in an SB3 policy; target networks are left out."""


class AttentionMap(NamedTuple):
    """The weights of one attention module in one pass."""

    name: str
    """Role and layer, such as "actor/0"."""
    role: str
    """"actor", "critic" or "online" (Q values); a shared extractor counts as the actor's."""
    layer: int
    queries: str
    """"tokens": every token asks (Q = N); "readout": the readout asks (Q = 1)."""
    weights: Float[Tensor, "B H Q N"]
    """Rows sum to 1 over the present tokens, or to 0 where there is none; on the device."""
    mask: Bool[Tensor, "B N"] | None
    """True where a token is present; None when all are."""
    normalised_over: str = "keys"


class Pass(NamedTuple):
    """What the extractors of a policy saw and gave in their latest pass."""

    maps: tuple[AttentionMap, ...]
    features: dict[str, Float[Tensor, "B D"]]
    """The extractor's output by role."""


def extractors_of(policy: nn.Module) -> dict[str, AttentionExtractor]:
    """Return the attention extractors of an SB3 policy by role.

    Raises:
        ValueError: the policy has none.
    """
    found = {
        ROLES[path]: module
        for path, module in policy.named_modules()
        if isinstance(module, AttentionExtractor) and path in ROLES
    }
    if not found:
        raise ValueError(
            f"{type(policy).__name__} has no AttentionExtractor; build the model with "
            "policy_kwargs=dict(features_extractor_class=AttentionExtractor)"
        )
    return found


class AttentionTap:
    """Listen to every attention module of a policy while attached. Changes no number.

    >>> with AttentionTap(model.policy) as tap:  # doctest: +SKIP
    ...     action, _ = model.predict(obs)
    ...     weights = tap.take().maps[-1].weights  # (B, H, Q, N)
    """

    def __init__(self, policy: nn.Module):
        self.extractors = extractors_of(policy)
        self._hooks: list[RemovableHandle] = []
        self._ears: list[tuple[SelfAttention | QueryAttention, Listener]] = []
        self._open: dict[str, list[AttentionMap]] = {}
        self._done: dict[str, tuple[tuple[AttentionMap, ...], Tensor]] = {}

    def attach(self) -> AttentionTap:
        """Start to listen, beside any other tap; when attached already, do nothing."""
        if self._hooks:
            return self
        for role, extractor in self.extractors.items():
            for layer, attention in enumerate(extractor.encoder.attentions()):
                hear = partial(self._hear, role, layer, attention.queries)
                attention.listeners += (hear,)
                self._ears.append((attention, hear))
            self._hooks.append(extractor.register_forward_hook(partial(self._close, role)))
        return self

    def detach(self) -> None:
        """Stop to listen; what was heard can still be taken."""
        for hook in self._hooks:
            hook.remove()
        for attention, hear in self._ears:
            attention.listeners = tuple(each for each in attention.listeners if each is not hear)
        self._hooks.clear()
        self._ears.clear()

    def __enter__(self) -> AttentionTap:
        return self.attach()

    def __exit__(self, *_: object) -> None:
        self.detach()

    def take(self) -> Pass | None:
        """Return the latest pass of each extractor since the last call, or None, and forget it."""
        if not self._done:
            return None
        done, self._done = self._done, {}
        maps = tuple(one for maps, _ in done.values() for one in maps)
        return Pass(maps, {role: features for role, (_, features) in done.items()})

    def _hear(
        self, role: str, layer: int, queries: str, weights: Tensor, mask: Tensor | None
    ) -> None:
        one = AttentionMap(f"{role}/{layer}", role, layer, queries, weights, mask)
        self._open.setdefault(role, []).append(one)

    def _close(self, role: str, _module: nn.Module, _inputs: tuple, features: Tensor) -> None:
        self._done[role] = (tuple(self._open.pop(role, ())), features.detach())
