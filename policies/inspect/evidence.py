"""Evidence: how much each token spoke for the action that the policy took, and how much against.

```
m            = margin of the action taken            logit against the other valid ones, Q, mean
evidence[n]  = sum over c of (x[n, c] - baseline[n, c]) * dm / dx[n, c]
```

`x` are the tokens before anything weighs them, in the pass that chose the action, so that the
gradient runs through attention and everything that follows it. Where all of that is linear,
evidence sums to `m(x) - m(baseline)`.

Source: Shrikumar et al. 2016, Not just a black box, https://arxiv.org/abs/1605.01713, for gradient
times the difference from a baseline. Differs: the difference is that of what attention reads, not
of the observation; what is explained is a margin, so that what speaks for all actions alike counts
as nothing; and the baseline is the token's mean, for a token that is as always explains no choice.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Literal, NamedTuple, get_args

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from attention_agents.policies.attention.tappable import TappableAttention
from attention_agents.policies.inspect.attention_modules import acting_role
from attention_agents.policies.inspect.policy_adapter import RecurrentState, adapter_of
from attention_agents.policies.inspect.token_capture import TokenMeans, TokenPass
from attention_agents.policies.inspect.token_inputs import PartTokens, token_inputs
from attention_agents.policies.tokens import Tokens

Baseline = Literal["mean", "zero"]
"""What tokens are compared with: each one's mean over the states that were seen, or zeros."""
UNDEFINED = "there was one valid choice, so nothing spoke for it and nothing against"
"""Why evidence can be NaN."""


class EvidenceMap(NamedTuple):
    """What spoke for the actions of B states and what against, in the units of `margin`."""

    values: Float[Tensor, "B M N"]
    """Above 0 a token spoke for, below 0 against, each of the M parts of the action; 0 for absent
    tokens, NaN where it is undefined: see `UNDEFINED`. For a continuous action: above 0 a token
    raised that number of it."""
    margin: Float[Tensor, "B M"]
    """By how much the action was preferred, see `ActionDistributionKind.margins`; NaN where the
    evidence is."""


class Evidence:
    """Compute the evidence of a policy's passes. It changes nothing in the policy.

    The gradient is taken in a graph of its own, from copies of the tokens: no number of the policy,
    no gradient of its parameters and no random stream moves, and it works within inference mode.

    Many states cost little more than one: passes can be kept, and explained together.

    >>> from stable_baselines3 import PPO
    >>> from attention_agents.policies.inspect.token_capture import TokenCapture
    >>> model = PPO("MlpPolicy", "CartPole-v1", device="cpu")
    >>> with TokenCapture(model.policy) as capture:
    ...     action, _ = model.predict(torch.ones(1, 4).numpy())
    >>> passed = capture.take()
    >>> evidence = Evidence(model.policy)
    >>> evidence.means.update(passed.tokens[evidence.role])
    >>> evidence.of(passed, torch.as_tensor(action)).values.shape
    torch.Size([1, 1, 4])

    Args:
        policy: of Stable-Baselines3 or sb3-contrib, with attention or without.
        baseline: what tokens are compared with: "mean" is `means`.
        means: of the tokens of `role`, over the states seen; None for new ones, to be updated.

    Raises:
        ValueError: the policy's networks, or its extractor, are not of a known kind; or the
            baseline is unknown.
    """

    def __init__(self, policy: Any, baseline: str = "mean", means: TokenMeans | None = None):
        if baseline not in get_args(Baseline):
            raise ValueError(f"baseline must be 'mean' or 'zero', got {baseline!r}")
        self.adapter, inputs = adapter_of(policy), token_inputs(policy)
        self.role = acting_role(inputs)
        """Of the extractor that chooses the action."""
        self.inputs = inputs[self.role]
        self.baseline = baseline
        self.means = TokenMeans() if means is None else means
        self._modules = [
            module
            for name, part in policy.named_children()
            if not name.startswith("critic")
            for module in part.modules()
        ]

    @property
    def components(self) -> int:
        """M, the parts of an action: 1 for a Discrete one, else its choices, bits or numbers."""
        return self.adapter.kind.components

    @property
    def margin_text(self) -> str:
        """What evidence is for or against, in words."""
        return self.adapter.kind.margin_text

    def of(
        self,
        passed: TokenPass,
        actions: Shaped[Tensor, "B ..."],
        valid: Bool[Tensor, "B C"] | None = None,
        baseline: tuple[Float[Tensor, "..."], ...] | None = None,
    ) -> EvidenceMap:
        """Return the evidence of B states, by one backward pass through what follows the tokens.

        Args:
            passed: of the pass that chose the actions.
            actions: that were taken, as the environment takes them.
            valid: which choices were valid; None where all were.
            baseline: what the tokens of each part are compared with, (n, D), or (B, n, D) with one
                for each state; None takes that of this object.

        Raises:
            ValueError: the means of the tokens are wanted and not known yet.
        """
        tokens, M = passed.tokens[self.role], self.components
        baseline = self._baseline_of(tokens) if baseline is None else baseline
        B = len(tokens[0].values)
        state = passed.recurrent_state
        with self._apart():
            # each component has a copy of the tokens, so that one backward pass serves them all
            copies = tuple(Tokens(*(_repeat(part, M) for part in own)) for own in tokens)
            leaves = [own.values.requires_grad_() for own in copies]
            margins = self.margins(
                copies,
                _repeat(actions, M),
                _repeat(valid, M),
                None if state is None else tuple(part.repeat(1, M, 1) for part in state),
            )  # (M B, M)
            margin = margins.view(M, B, M).diagonal(dim1=0, dim2=2)  # (B, M)
            gradients = _gradients(margin, leaves)
        by_part = [
            ((own.values - mean) * gradient.view(M, B, *own.values.shape[1:])).sum(-1)
            for own, mean, gradient in zip(tokens, baseline, gradients, strict=True)
        ]  # (M, B, n) each
        values = self.inputs.join(by_part).transpose(0, 1)  # (B, M, N)
        present = self.inputs.present(tokens)[:, None]
        margin = margin.detach()
        defined = ~margin.isnan()[:, :, None]
        return EvidenceMap(
            torch.where(defined, torch.where(present, values, 0.0), torch.nan), margin
        )

    def margins(
        self,
        tokens: PartTokens,
        actions: Shaped[Tensor, "B ..."],
        valid: Bool[Tensor, "B C"] | None = None,
        recurrent_state: RecurrentState | None = None,
    ) -> Float[Tensor, "B M"]:
        """Return the margins of actions from given tokens, with gradient where they want one.

        Args:
            recurrent_state: of the actor before the pass, for a policy that has one.
        """
        features = self.inputs.features_from_tokens(tokens)
        acting = self.adapter.acting_features(features, recurrent_state)
        return self.adapter.kind.margins(self.adapter.action_outputs(acting, valid), actions)

    def _baseline_of(self, tokens: PartTokens) -> tuple[Any, ...]:
        if self.baseline == "mean":
            return self.means.baseline
        return (0.0,) * len(tokens)

    @contextmanager
    def _apart(self) -> Iterator[None]:
        """Let the policy compute without being heard, as it does when it acts, with gradient."""
        training = [module for module in self._modules if module.training]
        heard = [
            (module, module.listeners)
            for module in self._modules
            if isinstance(module, TappableAttention) and module.listeners
        ]
        with ExitStack() as stack:
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.enable_grad())
            device = self.adapter.policy.device
            stack.enter_context(
                torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])
            )
            for module in training:
                module.training = False
                stack.callback(setattr, module, "training", True)
            for module, listeners in heard:
                module.listeners = ()
                stack.callback(setattr, module, "listeners", listeners)
            yield


def _gradients(margin: Float[Tensor, "B M"], leaves: list[Tensor]) -> list[Tensor]:
    """Return d margin / d leaf, 0 where the margin does not depend on one."""
    if not margin.requires_grad:
        return [torch.zeros_like(leaf) for leaf in leaves]
    found = torch.autograd.grad(margin.sum(), leaves, allow_unused=True)
    pairs = zip(leaves, found, strict=True)
    return [torch.zeros_like(leaf) if g is None else g for leaf, g in pairs]


def _repeat(tensor: Tensor | None, times: int) -> Any:
    """Return a copy of (B, ...) that holds all of it several times, (times * B, ...)."""
    return None if tensor is None else tensor.detach().repeat(times, *[1] * (tensor.dim() - 1))
