"""Every readout on observations that it can read: B=2, H=3, N=T=5, K=7, 11 cells in a frame."""

from collections.abc import Callable

from torch import nn

from attention_agents.envs.tokens.layout import TokenGroup, TokenLayout
from attention_agents.policies.attention import Heard
from attention_agents.policies.readouts import READOUTS, Readout
from attention_agents.policies.testkit import built, example, listened, site, with_mechanism
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
    asker = "goal" if case == "cross" else ""
    return site(heads, CASES[case][1], askers=None, points=3, asker=asker)


def maker(case: str, place) -> Callable[[], Readout]:
    return lambda: READOUTS[CASES[case][0]](place)


def made(case: str, heads: int = 3, **words) -> tuple[Readout, Tokens]:
    """Return a readout with parameters that do something, and tokens for it."""
    place = with_mechanism(place_of(case, heads), **words)
    return built(maker(case, place)), example(place)


def told(module: nn.Module, tokens: Tokens) -> Heard:
    """Return what the only attention of a module tells."""
    _, heard = listened(module, tokens)
    assert len(heard) == 1
    return heard[0][1]
