"""Every readout on observations that it can read: B=2, H=3, N=T=5, K=7, 11 cells in a frame."""

from collections.abc import Callable

from torch import nn

from attention_agents.envs.tokens.layout import TokenGroup, TokenLayout
from attention_agents.policies.attention.tappable import AttentionWeights
from attention_agents.policies.readouts.readout import Readout
from attention_agents.policies.registries import READOUTS
from attention_agents.policies.testkit import (
    build_module,
    example_tokens,
    layer_context,
    record_weights,
    with_attention,
)
from attention_agents.policies.tokens import Tokens

B, T, N, K, P = 2, 5, 5, 7, 11


def features(count: int = N, key: str = "") -> TokenGroup:
    return TokenGroup("features", tuple(f"{key} x{i}" for i in range(count)), key)


def frame(t: int, key: str = "") -> TokenGroup:
    names = tuple(f"cell {i}, {t}" for i in range(P))
    return TokenGroup("cells", names, key, grid=(1, P), offsets=(t,) * P)


def history(steps: int = T, key: str = "") -> TokenGroup:
    names, offsets = tuple(f"{t}" for t in range(steps)), tuple(range(1 - steps, 1))
    return TokenGroup("history", names, key, offsets=offsets)


SET = TokenLayout((features(),))
EGO = TokenLayout((TokenGroup("entities", tuple("abcde"), ego=2),))
TWO_KEYS = TokenLayout((features(2, "goal"), features(3, "map")))
STEPS = TokenLayout((history(),))
FRAMES = TokenLayout(tuple(frame(t) for t in range(1 - T, 1)))
FRAMES_AND_TURN = TokenLayout(
    (features(2, "direction"), *(frame(t, "image") for t in range(1 - T, 1)))
)

CASES = {
    "query": ("query", SET, "invariant"),
    "queries": ("queries", SET, "invariant"),
    "cls": ("cls", SET, "invariant"),
    "votes": ("votes", SET, "invariant"),
    "slots": ("slots", SET, "invariant"),
    "mean": ("mean", SET, "invariant"),
    "sum": ("sum", SET, "invariant"),
    "max": ("max", SET, "invariant"),
    "ego": ("ego", EGO, "ordered"),
    "cross": ("cross", TWO_KEYS, "ordered"),
    "present": ("present", STEPS, "ordered"),
    "attention-gru": ("attention-gru", STEPS, "ordered"),
    "attention-gru-frames": ("attention-gru", FRAMES, "ordered"),
    "attention-gru-dict": ("attention-gru", FRAMES_AND_TURN, "ordered"),
    "augru": ("augru", STEPS, "ordered"),
    "attgru": ("attgru", STEPS, "ordered"),
}


def place_of(case: str, heads: int = 3):
    query_source = "goal" if case == "cross" else ""
    return layer_context(
        heads, CASES[case][1], query_tokens=None, num_queries=3, query_source=query_source
    )


def maker(case: str, place) -> Callable[[], Readout]:
    return lambda: READOUTS[CASES[case][0]](place)


def made(case: str, heads: int = 3, **words) -> tuple[Readout, Tokens]:
    """Return a readout with parameters that do something, and tokens for it."""
    place = with_attention(place_of(case, heads), **words)
    return build_module(maker(case, place)), example_tokens(place)


def told(module: nn.Module, tokens: Tokens) -> AttentionWeights:
    """Return what the only attention of a module tells."""
    _, heard = record_weights(module, tokens)
    assert len(heard) == 1
    return heard[0][1]
