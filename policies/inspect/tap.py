"""Collect the attention maps of the very pass that chose the action."""

from __future__ import annotations

import copy
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from jaxtyping import Bool, Float
from torch import Tensor, nn

from attention_agents.policies.attention.tappable import (
    AttentionWeights,
    Listener,
    TappableAttention,
)
from attention_agents.policies.inspect.attention_modules import (
    AttentionModule,
    attention_extractors,
    attention_modules,
    extractor_of_role,
    features_extractors,
    mechanism_text,
)
from attention_agents.policies.sb3.extractor import AttentionExtractor
from attention_agents.policies.tokens import Tokens

MODULE_FIELDS = ("queries", "keys", "normalized_over", "extra_keys", "part", "query_source")
"""Fields of a map that its module knows."""


class AttentionMap(NamedTuple):
    """The weights of one attention module in one pass; all on the policy's device."""

    name: str
    """Role, layer and part, such as "actor/0" or "actor/0/time"."""
    role: str
    """"actor", "critic" or "online" (Q values); a shared extractor counts as the actor's."""
    layer: int
    queries: str
    """What attends: "tokens" (in their order), "readout", "slots", "inducing points", ..."""
    weights: Float[Tensor, "B H Q N"]
    """What was read; 0 for absent tokens, and normalized as `normalized_over` says."""
    mask: Bool[Tensor, "B N"] | None
    """True where a token of the observation is present; None when all are."""
    keys: str = "tokens"
    """What was read: "tokens", "channels" or "inducing points"."""
    normalized_over: str = "keys"
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
    query_source: str = ""
    """Whose query a readout's is, such as "ego" or "learned query"."""
    mechanism: str = ""
    """How it weighs where that is not the default, such as "additive, top-k 4"."""

    @classmethod
    def from_weights(
        cls, entry: AttentionModule, mechanism: str, weights: AttentionWeights
    ) -> AttentionMap:
        """Join the weights of a pass with what is known of their module."""
        fields = {name: getattr(entry.module, name) for name in MODULE_FIELDS}
        fields |= {"name": entry.name, "role": entry.role, "layer": entry.layer}
        return cls(**fields, mechanism=mechanism, **weights._asdict())


class Pass(NamedTuple):
    """What the extractors of a policy attended to and returned in their latest pass."""

    maps: tuple[AttentionMap, ...]
    """Role by role, next to the observation first."""
    features: dict[str, Float[Tensor, "B D"]]
    """The extractor's output by role."""


@dataclass
class OpenPass:
    """A pass of one extractor and of what follows it; of each module the latest weights count."""

    maps: dict[str, AttentionMap] = field(default_factory=dict)
    batch: int | None = None
    """B, once the observation was cut into tokens; None where the extractor has no tokens."""
    mask: Tensor | None = None
    """(B, N), True where a token is present."""
    features: Tensor | None = None

    def masked_maps(self) -> dict[str, AttentionMap]:
        """Return the maps, all with the mask of the tokens of this pass."""
        return {
            name: map_._replace(mask=self.mask) if len(map_.weights) == self.batch else map_
            for name, map_ in self.maps.items()
        }


class AttentionTap:
    """Collect the maps of every attention module of a policy while attached. Changes no number.

    A pass begins where an extractor is called, and lasts until that is called again: weights that
    are reported after it, by a recurrent part or a pointer, belong to the same pass. Of several
    passes the latest counts.

    >>> with AttentionTap(model.policy) as tap:  # doctest: +SKIP
    ...     action, _ = model.predict(obs)
    ...     weights = tap.take().maps[-1].weights  # (B, H, Q, N)

    Raises:
        ValueError: the policy has no attention.
    """

    def __init__(self, policy: nn.Module):
        self.extractors = features_extractors(policy)
        self.modules = attention_modules(policy)
        if not self.modules:
            attention_extractors(policy)  # refuses a policy without any
        self._extractor_roles = extractor_of_role(self.extractors)
        self._attached: ExitStack | None = None
        """Removes hooks and listeners when it is closed; None while detached."""
        self._open: dict[str, OpenPass] = {}
        self._done: dict[str, OpenPass] = {}

    def attach(self) -> AttentionTap:
        """Start to listen, beside any other tap; when attached already, do nothing."""
        if self._attached is not None:
            return self
        self._attached = ExitStack()
        for entry in self.modules:
            listener = partial(self._on_weights, entry, mechanism_text(entry.module))
            entry.module.listeners += (listener,)
            self._attached.callback(_remove_listener, entry.module, listener)
        for role, extractor in self.extractors.items():
            hooks = [
                extractor.register_forward_pre_hook(partial(self._on_begin, role)),
                extractor.register_forward_hook(partial(self._on_features, role)),
            ]
            if isinstance(extractor, AttentionExtractor):
                on_tokens = partial(self._on_tokens, role)
                hooks.append(extractor.tokenizer.register_forward_hook(on_tokens))
            for hook in hooks:
                self._attached.callback(hook.remove)
        return self

    def detach(self) -> None:
        """Stop to listen; the latest pass can still be taken."""
        if self._attached is not None:
            self._attached.close()
        self._attached = None

    def __enter__(self) -> AttentionTap:
        return self.attach()

    def __exit__(self, *_: object) -> None:
        self.detach()

    def take(self) -> Pass | None:
        """Return the latest pass of each extractor since the last call, or None, and forget it."""
        if not self._done:
            return None
        done, self._done = self._done, {}
        maps = {name: map_ for part in done.values() for name, map_ in part.masked_maps().items()}
        ordered = tuple(maps[entry.name] for entry in self.modules if entry.name in maps)
        features = {role: part.features for role, part in done.items() if part.features is not None}
        return Pass(ordered, features)

    def _on_begin(self, role: str, _module: nn.Module, _inputs: tuple) -> None:
        self._open[role] = OpenPass()

    def _on_weights(
        self, entry: AttentionModule, mechanism: str, weights: AttentionWeights
    ) -> None:
        role = self._extractor_roles[entry.role]
        passes = self._open if entry.in_extractor else self._done
        if role in passes:  # else the module was called by itself
            passes[role].maps[entry.name] = AttentionMap.from_weights(entry, mechanism, weights)

    def _on_tokens(self, role: str, _module: nn.Module, _inputs: tuple, tokens: Tokens) -> None:
        if role in self._open:
            self._open[role].batch, self._open[role].mask = len(tokens.values), tokens.mask

    def _on_features(self, role: str, _module: nn.Module, _inputs: tuple, features: Tensor) -> None:
        ended = self._open.pop(role, None)
        attends = any(entry.in_extractor and entry.role == role for entry in self.modules)
        if ended is None or (attends and not ended.maps):
            return  # attached in the middle of a pass, or listeners are off, see `probe_maps`
        ended.features = features.detach()
        self._done[role] = ended


def _remove_listener(module: TappableAttention, listener: Listener) -> None:
    module.listeners = tuple(present for present in module.listeners if present is not listener)


def probe_maps(policy: Any) -> Pass:
    """Pass a sampled observation through a policy, to find out what its maps will look like.

    No other listener gets the weights, no random stream moves, nothing changes in the policy.

    Args:
        policy: an SB3 policy with attention.

    Raises:
        ValueError: the policy has no attention.
    """
    modes = [(module, module.training) for module in policy.modules()]
    tappable = [module for module in policy.modules() if isinstance(module, TappableAttention)]
    listeners = [module.listeners for module in tappable]
    space = copy.deepcopy(policy.observation_space)
    space.seed(0)
    try:
        for module in tappable:
            module.listeners = ()
        with AttentionTap(policy) as tap:
            policy.predict(space.sample(), deterministic=True)
            probe = tap.take()
    finally:
        for module, before in zip(tappable, listeners, strict=True):
            module.listeners = before
        for module, training in modes:
            module.training = training
    assert probe is not None, "an extractor ran and its tap got nothing"
    return probe
