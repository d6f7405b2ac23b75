"""Watching a policy: the attention maps of the very pass that chose the action."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from attention_agents.policies.attention import Attentive, Heard, Listener
from attention_agents.policies.inspect.attention_modules import (
    Seat,
    any_extractors_of,
    extractors_of,
    home_of_roles,
    mechanism_text,
    seats_of,
)
from attention_agents.policies.sb3.extractor import AttentionExtractor
from attention_agents.policies.tokens import Tokens


class AttentionMap(NamedTuple):
    """The weights of one attention module in one pass; all on the policy's device."""

    name: str
    """Role, layer and part, such as "actor/0" or "actor/0/time"."""
    role: str
    """"actor", "critic" or "online" (Q values); a shared extractor counts as the actor's."""
    layer: int
    queries: str
    """Who asks: "tokens" (in their order), "readout", "slots", "inducing points", ..."""
    weights: Float[Tensor, "B H Q N"]
    """What was read; 0 for absent tokens, and normalised as `normalised_over` says."""
    mask: Bool[Tensor, "B N"] | None
    """True where a token of the observation is present; None when all are."""
    keys: str = "tokens"
    """What was read: "tokens", "channels" or "inducing points"."""
    normalised_over: str = "keys"
    """"keys": rows sum to 1, or to 0 where nothing is visible; "queries": the weights of each token
    do; "none": nothing does."""
    soft: Float[Tensor, "B H Q N"] | None = None
    """Weights before a hard choice; None where there was none."""
    heads: Float[Tensor, "H"] | None = None
    """How much each head counts, averaging 1; None when all count the same."""
    extra_keys: tuple[str, ...] = ()
    """Names of keys that follow the tokens on the last axis, such as a CLS token."""
    part: str = ""
    """Tells apart the modules of one layer, such as "time" and "space"."""
    asker: str = ""
    """Whose query a readout's is, such as "ego" or "learned query"."""
    mechanism: str = ""
    """How it weighs where that is not the default, such as "additive, top-k 4"."""

    @classmethod
    def of(cls, seat: Seat, mechanism: str, heard: Heard) -> AttentionMap:
        """Join what a module told with what it is."""
        module = seat.attention
        return cls(
            name=seat.name,
            role=seat.role,
            layer=seat.layer,
            queries=module.queries,
            weights=heard.weights,
            mask=heard.mask,
            keys=module.keys,
            normalised_over=module.normalised_over,
            soft=heard.soft,
            heads=heard.heads,
            extra_keys=module.extra_keys,
            part=module.part,
            asker=module.asker,
            mechanism=mechanism,
        )


class Pass(NamedTuple):
    """What the extractors of a policy saw and gave in their latest pass."""

    maps: tuple[AttentionMap, ...]
    """Role by role, next to the observation first."""
    features: dict[str, Float[Tensor, "B D"]]
    """The extractor's output by role."""


@dataclass
class _Underway:
    """A pass of one extractor and of what follows it; each module's latest word counts."""

    maps: dict[str, AttentionMap] = field(default_factory=dict)
    batch: int | None = None
    """B, once the observation was cut into tokens; None where the extractor does no such thing."""
    mask: Tensor | None = None
    """(B, N), True where a token is present."""
    features: Tensor | None = None

    def masked(self) -> dict[str, AttentionMap]:
        """Return the maps, all with the mask of the tokens of this pass."""
        return {
            name: one._replace(mask=self.mask) if len(one.weights) == self.batch else one
            for name, one in self.maps.items()
        }


class AttentionTap:
    """Listen to every attention module of a policy while attached. Changes no number.

    A pass begins where an extractor is called, and lasts until that is called again: what is told
    after it, by a recurrent part or a head, belongs to the same pass. Of several passes the latest
    counts.

    >>> with AttentionTap(model.policy) as tap:  # doctest: +SKIP
    ...     action, _ = model.predict(obs)
    ...     weights = tap.take().maps[-1].weights  # (B, H, Q, N)

    Raises:
        ValueError: the policy has no attention.
    """

    def __init__(self, policy: nn.Module):
        self.extractors = any_extractors_of(policy)
        self.seats = seats_of(policy)
        if not self.seats:
            extractors_of(policy)  # refuses a policy without any
        self._homes = home_of_roles(self.extractors)
        self._hooks: list[RemovableHandle] = []
        self._ears: list[tuple[Attentive, Listener]] = []
        self._open: dict[str, _Underway] = {}
        self._done: dict[str, _Underway] = {}

    def attach(self) -> AttentionTap:
        """Start to listen, beside any other tap; when attached already, do nothing."""
        if self._hooks:
            return self
        for seat in self.seats:
            hear = partial(self._hear, seat, mechanism_text(seat.attention))
            seat.attention.listeners += (hear,)
            self._ears.append((seat.attention, hear))
        for role, extractor in self.extractors.items():
            self._hooks.append(extractor.register_forward_pre_hook(partial(self._begin, role)))
            self._hooks.append(extractor.register_forward_hook(partial(self._close, role)))
            if isinstance(extractor, AttentionExtractor):
                tokenizer = extractor.tokenizer
                self._hooks.append(tokenizer.register_forward_hook(partial(self._cut, role)))
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
        heard = {name: one for each in done.values() for name, one in each.masked().items()}
        maps = tuple(heard[seat.name] for seat in self.seats if seat.name in heard)
        features = {role: each.features for role, each in done.items() if each.features is not None}
        return Pass(maps, features)

    def _begin(self, role: str, _module: nn.Module, _inputs: tuple) -> None:
        self._open[role] = _Underway()

    def _hear(self, seat: Seat, mechanism: str, heard: Heard) -> None:
        home = self._homes[seat.role]
        passes = self._open if seat.inside else self._done
        if home in passes:  # else somebody called the module by itself
            passes[home].maps[seat.name] = AttentionMap.of(seat, mechanism, heard)

    def _cut(self, role: str, _module: nn.Module, _inputs: tuple, tokens: Tokens) -> None:
        if role in self._open:
            self._open[role].batch, self._open[role].mask = len(tokens.values), tokens.mask

    def _close(self, role: str, _module: nn.Module, _inputs: tuple, features: Tensor) -> None:
        ended = self._open.pop(role, None)
        attends = any(seat.inside and seat.role == role for seat in self.seats)
        if ended is None or (attends and not ended.maps):
            return  # it was attached in the middle, or nobody was to hear this, see `rehearse`
        ended.features = features.detach()
        self._done[role] = ended


def rehearse(policy: Any) -> Pass:
    """Return a greedy pass over a made-up observation, which tells what the maps will be like.

    No listener hears of it, no random stream moves, and nothing changes in the policy.

    Args:
        policy: an SB3 policy with attention.

    Raises:
        ValueError: the policy has no attention.
    """
    modes = [(module, module.training) for module in policy.modules()]
    ears = [module for module in policy.modules() if isinstance(module, Attentive)]
    listeners = [module.listeners for module in ears]
    space = copy.deepcopy(policy.observation_space)
    space.seed(0)
    try:
        for module in ears:
            module.listeners = ()
        with AttentionTap(policy) as tap:
            policy.predict(space.sample(), deterministic=True)
            heard = tap.take()
    finally:
        for module, before in zip(ears, listeners, strict=True):
            module.listeners = before
        for module, training in modes:
            module.training = training
    assert heard is not None, "an extractor ran and its tap heard nothing"
    return heard
