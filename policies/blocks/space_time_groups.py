"""Where the tokens of several frames lie: which stand together in time, and which in space."""

from __future__ import annotations

from dataclasses import dataclass

from attention_agents.envs.tokens.layout import TokenGroup, TokenLayout


@dataclass(frozen=True)
class Group:
    """Tokens that attend to each other, the same number in each of G groups."""

    rows: tuple[tuple[int, ...], ...]
    """G rows of S tokens."""
    real: tuple[tuple[bool, ...], ...]
    """False where an entry only fills its row."""
    own: tuple[int, ...]
    """For each of the N tokens, which of the G * S entries is its own: where it asks."""
    layout: TokenLayout
    """What the S tokens of a row are."""


@dataclass(frozen=True)
class Frames:
    """T frames of P tokens each, oldest first, and R other tokens.

    A frame is all groups of tokens that are the same number of steps back. Other tokens, which have
    no offset or several, are of the present.
    """

    layout: TokenLayout
    times: tuple[int, ...]
    """T offsets, oldest first."""
    frames: tuple[tuple[int, ...], ...]
    """T rows of P tokens."""
    others: tuple[int, ...]
    """R tokens."""

    @classmethod
    def of(cls, layout: TokenLayout | None) -> Frames:
        """Find the frames of a layout.

        Raises:
            ValueError: there are fewer than two, or they do not hold the same tokens.
        """
        groups = () if layout is None else layout.groups
        times = sorted({time for group in groups if (time := offset(group)) is not None})
        if layout is None or len(times) < 2:
            raise ValueError(too_few(groups))
        spans = [range(len(layout))[part] for part in layout.slices]
        members = {t: [i for i, g in enumerate(groups) if offset(g) == t] for t in times}
        kinds = {t: [(groups[i].key, len(groups[i])) for i in each] for t, each in members.items()}
        if any(kind != kinds[times[0]] for kind in kinds.values()):
            raise ValueError(
                "block 'space-time' needs frames that hold the same tokens, got (key, tokens) "
                f"by time: {kinds}; build them with attention_agents.FrameHistory"
            )
        frames = tuple(tuple(n for i in members[t] for n in spans[i]) for t in times)
        others = tuple(
            n for span, g in zip(spans, groups, strict=True) if offset(g) is None for n in span
        )
        return cls(layout, tuple(times), frames, others)

    @property
    def along_time(self) -> Group:
        """One row for each place, of the same place in all T frames.

        Another token has a row to itself, in which it stands at the present alone.
        """
        T, P, R = len(self.times), len(self.frames[0]), len(self.others)
        rows = (*zip(*self.frames, strict=True), *((other,) * T for other in self.others))
        real = ((True,) * T,) * P + ((False,) * (T - 1) + (True,),) * R
        names = tuple("present" if time == 0 else f"{time} steps" for time in self.times)
        layout = TokenLayout((TokenGroup("history", names, offsets=self.times),))
        return Group(rows, real, self._own(rows), layout)

    @property
    def along_space(self) -> Group:
        """One row for each frame, of its tokens and the others; others ask in the last frame."""
        rows = tuple((*frame, *self.others) for frame in self.frames)
        real = ((True,) * len(rows[0]),) * len(rows)
        groups = self.layout.groups
        frame = (group for group in groups if offset(group) == self.times[-1])
        others = (group for group in groups if offset(group) is None)
        return Group(rows, real, self._own(rows), TokenLayout((*frame, *others)))

    def _own(self, rows: tuple[tuple[int, ...], ...]) -> tuple[int, ...]:
        last = {token: entry for entry, token in enumerate(n for row in rows for n in row)}
        return tuple(last[token] for token in range(len(self.layout)))


def offset(group: TokenGroup) -> int | None:
    """Return how many steps back a whole group is, <= 0; None where no one number says."""
    times = set(group.offsets or ())
    return times.pop() if len(times) == 1 else None


def too_few(groups: tuple[TokenGroup, ...]) -> str:
    """Return why tokens are not frames, and what to do."""
    if any(offset(g) is None and g.offsets is not None for g in groups):
        return (
            "block 'space-time' needs frames of several tokens, and in this history each step is "
            "one token; use block='residual' with where='causal'"
        )
    return (
        "block 'space-time' needs the tokens of two frames or more, and this observation is of one "
        "step; give it a history (--history 4, in Python attention_agents.FrameHistory), or use "
        "block='residual'"
    )
