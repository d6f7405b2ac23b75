"""Maps computed from a policy's answers, or from several layers of attention. numpy alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int


def sarfa(
    before: Float[np.ndarray, "A"], without: Float[np.ndarray, "N A"], chosen: int
) -> Float[np.ndarray, "N"]:
    """Weigh tokens by how specific and how relevant they are to the chosen action.

    ```
    dp[n] = p(chosen) - p_n(chosen)
    K[n] = 1 / (1 + KL(rest_n || rest))
    sarfa[n] = 2 * K[n] * dp[n] / (K[n] + dp[n]) where dp[n] > 0, else 0
    ```

    `p` is the probability with all tokens, `p_n` without token n, and `rest` the probabilities of
    the other actions, made to sum to 1.

    Args:
        before: log-probabilities or Q values.
        without: the same without each token.

    Source: Puri et al. 2020, Explain your move: understanding agent actions using specific and
        relevant feature attribution, section 3, https://arxiv.org/abs/1912.12191.
    """
    p, p_n = _softmax(before), _softmax(without)
    dp = p[chosen] - p_n[:, chosen]
    others = np.arange(len(before)) != chosen
    if not others.any():
        return np.zeros(len(without))
    rest, rest_n = _log_softmax(before[others]), _log_softmax(without[:, others])
    apart = (np.exp(rest_n) * (rest_n - rest)).sum(1)
    K = 1 / (1 + np.maximum(apart, 0))
    return np.where(dp > 0, 2 * K * dp / (K + np.maximum(dp, 1e-30)), 0)


def sarfa_of_parts(
    before: Float[np.ndarray, "C"],
    without: Float[np.ndarray, "N C"],
    chosen: Int[np.ndarray, "P"],
    sizes: Sequence[int],
) -> Float[np.ndarray, "N"]:
    """Average `sarfa` over the P parts of an action, each of which chooses among `sizes`."""
    ends = np.cumsum(sizes)
    parts = [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]
    maps = [sarfa(before[p], without[:, p], int(c)) for p, c in zip(parts, chosen, strict=True)]
    return np.mean(maps, 0)


def relevance(
    layers: Sequence[Float[np.ndarray, "N N"]],
    row: Float[np.ndarray, "N"],
    present: Bool[np.ndarray, "N"],
) -> Float[np.ndarray, "N"]:
    """Follow attention that was weighted by its gradient back through the layers.

    `R = I`, then `R = R + A_l @ R` from the first layer to the last, with `A_l` the mean over heads
    of `max(0, gradient * weights)`; the map is `row @ R`.

    Source: Chefer, Gur and Wolf 2021, Generic attention-model explainability, section 3,
        https://arxiv.org/abs/2103.15679.
    """
    for layer in reversed(layers):
        row = row + row @ layer
    return np.where(present, row, 0)


def _softmax(x: Float[np.ndarray, "*n A"]) -> Float[np.ndarray, "*n A"]:
    return np.exp(_log_softmax(x))


def _log_softmax(x: Float[np.ndarray, "*n A"]) -> Float[np.ndarray, "*n A"]:
    x = x.astype(np.float64)
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))
