"""Hold the tokens of the very pass that chose the action, and their means over many passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from attention_agents.policies.inspect.attention_modules import acting_role, features_extractors
from attention_agents.policies.inspect.token_inputs import PartTokens, token_inputs
from attention_agents.policies.tokens import Tokens, present_mask


class TokenPass(NamedTuple):
    """The tokens of a policy's latest pass, and what its extractors made of them; no gradient."""

    tokens: dict[str, PartTokens]
    """By role, before anything weighs them; copies, which no later pass changes."""
    features: dict[str, Float[Tensor, "B F"]]
    """The extractor's output by role."""
    recurrent_state: tuple[Float[Tensor, "L B K"], ...] | None = None
    """Hidden and cell state of the actor before the pass; None where the policy has none."""

    @classmethod
    def concatenate(cls, passes: Sequence[TokenPass]) -> TokenPass:
        """Join passes of the same policy to one of all their observations.

        Roles that are not in every pass are left out.
        """
        states = [part.recurrent_state for part in passes]
        roles = [role for role in passes[0].tokens if all(role in p.tokens for p in passes)]
        return cls(
            {
                role: tuple(
                    _concatenate(parts)
                    for parts in zip(*(p.tokens[role] for p in passes), strict=True)
                )
                for role in roles
            },
            {role: torch.cat([p.features[role] for p in passes]) for role in roles},
            None
            if any(state is None for state in states)
            else tuple(torch.cat(parts, 1) for parts in zip(*states, strict=True)),  # type: ignore[arg-type]
        )

    def select_states(self, index: slice) -> TokenPass:
        """Return the pass of some of its observations."""
        state = self.recurrent_state
        return TokenPass(
            {role: select_states(part, index) for role, part in self.tokens.items()},
            {role: part[index] for role, part in self.features.items()},
            None if state is None else tuple(part[:, index] for part in state),
        )


class TokenCapture:
    """Hold the tokens of a policy's passes while attached. Changes no number.

    As with an `AttentionTap`, a pass begins where an extractor is called, and of several passes the
    latest counts.

    >>> from stable_baselines3 import PPO
    >>> model = PPO("MlpPolicy", "CartPole-v1", device="cpu")
    >>> with TokenCapture(model.policy) as capture:
    ...     action, _ = model.predict(torch.zeros(4).numpy())
    >>> capture.take().tokens["actor"][0].values.shape  # (B, n, D)
    torch.Size([1, 4, 1])

    Args:
        policy: of SB3, with attention or without.

    Raises:
        ValueError: it is not known where the tokens of its extractor stand.
    """

    def __init__(self, policy: nn.Module):
        self.inputs = token_inputs(policy)
        self.role = acting_role(self.inputs)
        """Of the extractor that chooses the action."""
        self._extractors = features_extractors(policy)
        self._lstm = dict(policy.named_children()).get("lstm_actor")
        self._attached: ExitStack | None = None
        """Removes the hooks when it is closed; None while detached."""
        self._open: dict[str, dict[int, Tokens]] = {}
        self._tokens: dict[str, PartTokens] = {}
        self._features: dict[str, Tensor] = {}
        self._state: tuple[Tensor, ...] | None = None

    def attach(self) -> TokenCapture:
        """Start to listen; when attached already, do nothing."""
        if self._attached is not None:
            return self
        self._attached = ExitStack()
        for role, inputs in self.inputs.items():
            extractor = self._extractors[role]
            hooks = [
                extractor.register_forward_pre_hook(partial(self._on_begin, role)),
                *inputs.hook_parts(partial(self._on_tokens, role)),
                extractor.register_forward_hook(partial(self._on_features, role)),
            ]
            for hook in hooks:
                self._attached.callback(hook.remove)
        if self._lstm is not None:
            hook = self._lstm.register_forward_pre_hook(self._on_recurrent)
            self._attached.callback(hook.remove)
        return self

    def detach(self) -> None:
        """Stop to listen; the latest pass can still be taken."""
        if self._attached is not None:
            self._attached.close()
        self._attached = None

    def __enter__(self) -> TokenCapture:
        return self.attach()

    def __exit__(self, *_: object) -> None:
        self.detach()

    def take(self) -> TokenPass | None:
        """Return the latest pass of each extractor since the last call, or None, and forget it.

        None also where the extractor that acts has not been called.
        """
        tokens, features, state = self._tokens, self._features, self._state
        self._tokens, self._features, self._state = {}, {}, None
        return TokenPass(tokens, features, state) if self.role in tokens else None

    def _on_begin(self, role: str, _module: nn.Module, _inputs: tuple) -> None:
        self._open[role] = {}

    def _on_tokens(self, role: str, number: int, tokens: Tokens) -> None:
        if role in self._open:
            self._open[role][number] = copy_tokens(tokens)

    def _on_features(self, role: str, _module: nn.Module, _inputs: tuple, features: Tensor) -> None:
        parts = self._open.pop(role, {})
        if len(parts) == len(self.inputs[role].parts):  # else attached in the middle of a pass
            self._tokens[role] = tuple(parts[i] for i in range(len(parts)))
            self._features[role] = features.detach()

    def _on_recurrent(self, _module: nn.Module, inputs: tuple) -> None:
        sequence, state = inputs  # (T, B, F), (L, B, K)
        self._state = tuple(_copy(part) for part in state) if len(sequence) == 1 else None


def copy_tokens(tokens: Tokens) -> Tokens:
    """Return a copy that a gradient can be taken of, also within inference mode."""
    return Tokens(*(None if part is None else _copy(part) for part in tokens))  # type: ignore[arg-type]


def select_states(tokens: PartTokens, index: slice | Tensor) -> PartTokens:
    """Return the tokens of some observations."""
    return tuple(
        Tokens(*(None if value is None else value[index] for value in part))  # type: ignore[arg-type]
        for part in tokens
    )


def _concatenate(batches: Sequence[Tokens]) -> Tokens:
    columns: list[tuple[Any, ...]] = list(zip(*batches, strict=True))
    return Tokens(*(None if column[0] is None else torch.cat(column) for column in columns))  # type: ignore[arg-type]


@dataclass
class TokenMeans:
    """The mean of every token over the observations in which it was present.

    >>> means = TokenMeans()
    >>> means.update((Tokens(torch.tensor([[[1.0], [4.0]], [[3.0], [0.0]]]), None),))
    >>> means.states, [part.tolist() for part in means.baseline]
    (2, [[[2.0], [2.0]]])
    """

    states: int = 0
    """Observations that the means were taken over."""
    means: list[Float[Tensor, "_ _"]] = field(default_factory=list)
    """(n, D) by part."""
    counts: list[Float[Tensor, "_ 1"]] = field(default_factory=list)
    """(n, 1) by part: observations in which each token was present."""

    def update(self, tokens: PartTokens) -> None:
        """Add the tokens of B observations."""
        if not self.means:
            self.means = [part.values.new_zeros(part.values.shape[1:]) for part in tokens]
            self.counts = [mean[:, :1].clone() for mean in self.means]
        self.states += len(tokens[0].values)
        for i, part in enumerate(tokens):
            present = present_mask(part)[:, :, None]  # (B, n, 1)
            count = present.sum(0).to(self.counts[i].dtype)
            self.counts[i] = self.counts[i] + count
            surplus = torch.where(present, part.values.detach() - self.means[i], 0.0).sum(0)
            self.means[i] = self.means[i] + surplus / self.counts[i].clamp(min=1)

    def update_one_by_one(self, tokens: PartTokens) -> tuple[Float[Tensor, "B _ _"], ...]:
        """Add the tokens of B observations in their order; return the means after each, by part.

        >>> means = TokenMeans()
        >>> means.update_one_by_one((Tokens(torch.tensor([[[1.0]], [[4.0]]]), None),))[0].tolist()
        [[[1.0]], [[2.5]]]
        """
        if not self.means:
            self.update(select_states(tokens, slice(0, 0)))
        self.states += len(tokens[0].values)
        after = []
        for i, part in enumerate(tokens):
            present = present_mask(part)[:, :, None]  # (B, n, 1)
            counts = self.counts[i] + present.to(self.counts[i].dtype).cumsum(0)
            sums = torch.where(present, part.values.detach() - self.means[i], 0.0).cumsum(0)
            means = self.means[i] + sums / counts.clamp(min=1)
            self.means[i], self.counts[i] = means[-1], counts[-1]
            after.append(means)
        return tuple(after)

    @property
    def baseline(self) -> tuple[Float[Tensor, "_ _"], ...]:
        """The means by part, (n, D) each; 0 for a token that never was present.

        Raises:
            ValueError: no observation was added.
        """
        if not self.states:
            raise ValueError(
                "the mean of the tokens is not known yet; add the tokens of some passes first"
            )
        return tuple(self.means)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return arrays by name, for a file; `from_arrays` reads them back."""
        arrays = {"states": np.array(self.states, np.int64)}
        for i, (mean, count) in enumerate(zip(self.means, self.counts, strict=True)):
            arrays |= {f"mean_{i}": mean.cpu().numpy(), f"count_{i}": count.cpu().numpy()}
        return arrays

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, np.ndarray], device: torch.device | str = "cpu"
    ) -> TokenMeans:
        """Read what `to_arrays` returned.

        Raises:
            ValueError: arrays are missing, or do not fit together.
        """
        parts = sum(name.startswith("mean_") for name in arrays)
        names = {"states", *(f"{kind}_{i}" for kind in ("mean", "count") for i in range(parts))}
        if set(arrays) != names:
            raise ValueError(f"means of tokens need {sorted(names)}, got {sorted(arrays)}")
        means = [_as_tensor(arrays[f"mean_{i}"], device) for i in range(parts)]
        counts = [_as_tensor(arrays[f"count_{i}"], device) for i in range(parts)]
        for mean, count in zip(means, counts, strict=True):
            if mean.dim() != 2 or count.shape != (len(mean), 1):
                raise ValueError(
                    f"means (n, D) and counts (n, 1) of tokens do not fit together: "
                    f"{tuple(mean.shape)} and {tuple(count.shape)}"
                )
        return cls(int(arrays["states"]), means, counts)


def _as_tensor(array: Any, device: torch.device | str) -> Tensor:
    return torch.as_tensor(np.array(array, np.float32), device=device)


def _copy(tensor: Tensor) -> Tensor:
    with torch.inference_mode(False):
        return tensor.detach().clone()
