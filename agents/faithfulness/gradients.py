"""Maps by gradient: of what the policy said, by token embeddings and by attention weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from attention_agents.agents.faithfulness.recorded_policy import Subject
from attention_agents.policies.attention import Weighing
from attention_agents.policies.inspect.attention_modules import AttentionModule


class Gradients(NamedTuple):
    """What gradients say of S steps."""

    tokens: Float[np.ndarray, "S N"]
    """`|gradient . embedding|` of each token, added up over the numbers that were asked about."""
    weights: dict[str, Float[np.ndarray, "S Q K"]]
    """By name of a seat, `max(0, gradient * weights)`, mean over heads; those alone whose weights
    are read directly."""


def gradients_at(subject: Subject, steps: slice, seats: list[AttentionModule]) -> Gradients:
    """Ask for the gradients of what is said of the action that was done.

    Log-probability or Q value of the chosen action; each number of a continuous one.

    Args:
        steps: of the episode.
        seats: attention modules whose weights are asked for.

    Source: Shrikumar et al. 2016, Not just a black box, https://arxiv.org/abs/1605.01713, for
        gradient x input; Chefer, Gur and Wolf 2021, Generic attention-model explainability,
        https://arxiv.org/abs/2103.15679, for weights.
    """
    states = subject.states[steps]
    rows = torch.arange(len(states), device=subject.policy.device)
    removal, role = subject.removal, subject.role
    with torch.no_grad(), removal.capture_tokens() as tokens:
        subject.reader.ask(states, rows)
    leaf = tokens[role].values.clone().requires_grad_()
    with torch.enable_grad(), removal.replace_embeddings({role: leaf}), kept_weights(seats) as kept:
        said = subject.reader.ask(states, rows)
        targets = subject.reader.kind.targets(said, states.chosen)  # (S, G)
        names = [name for name, each in kept.items() if each.requires_grad]
        wanted = [leaf, *(kept[name] for name in names)]
        total = np.zeros(leaf.shape[:2], np.float32)
        weights = {name: np.zeros(0, np.float32) for name in names}
        for target in targets.unbind(1):
            found: Any = torch.autograd.grad(
                target.sum(), wanted, retain_graph=True, allow_unused=True
            )
            total += _numpy((leaf * found[0]).sum(-1).abs())
            for name, gradient in zip(names, found[1:], strict=True):
                zero = torch.zeros_like(kept[name]) if gradient is None else gradient
                part = _numpy((kept[name] * zero).clamp(min=0).mean(1))
                weights[name] = part if not weights[name].size else weights[name] + part
    return Gradients(total, weights)


@contextmanager
def kept_weights(seats: list[AttentionModule]) -> Iterator[dict[str, Tensor]]:
    """Let attention be computed by its weights, with gradient, and keep those of the latest pass.

    The fused kernel has no weights to take a gradient of; without it features are the same up to
    rounding.
    """
    kept: dict[str, Tensor] = {}
    with ExitStack() as stack:
        for seat in seats:
            for module in seat.module.children():
                if isinstance(module, Weighing):
                    stack.callback(setattr, module, "fused", module.fused)
                    module.fused = False
                    stack.callback(module.register_forward_hook(_keeping(kept, seat.name)).remove)
        yield kept


def _keeping(kept: dict[str, Tensor], name: str) -> Any:
    def keep(_module: nn.Module, _inputs: tuple, weighed: Any) -> None:
        kept[name] = weighed.weights

    return keep


def _numpy(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy().astype(np.float32)
