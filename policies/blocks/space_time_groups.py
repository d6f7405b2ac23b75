"""Where the tokens of several frames lie: which stand together in time, and which in space."""

from __future__ import annotations

from dataclasses import dataclass

from attention_agents.envs.tokens.layout import TokenGroup, TokenLayout


@dataclass(frozen=True)
class TokenGroups:
    """Tokens that attend to each other, the same number in each of G groups."""

    rows: tuple[tuple[int, ...], ...]
    """G rows of S tokens."""
    is_token: tuple[tuple[bool, ...], ...]
    """False where an entry only fills its row."""
    entry_of_token: tuple[int, ...]
    """For each of the N tokens, the one of the G * S entries where it is a query."""
    layout: TokenLayout
    """What the S tokens of a row are."""


@dataclass(frozen=True)
class FrameTokens:
    """T frames of P tokens each, oldest first, and R tokens beside them.

    A frame is all groups of tokens that are the same number of steps back. Tokens beside the
    frames, which have no offset or several, are of the present.
    """

    layout: TokenLayout
    times: tuple[int, ...]
    """T offsets, oldest first."""
    frames: tuple[tuple[int, ...], ...]
    """T rows of P tokens."""
    timeless: tuple[int, ...]
    """R tokens."""

    @classmethod
    def of(cls, layout: TokenLayout | None) -> FrameTokens:
        """Find the frames of a layout.

        Raises:
            ValueError: there are fewer than two, or they do not hold the same tokens.
        """
        groups = () if layout is None else layout.groups
        times = sorted({time for group in groups if (time := group_offset(group)) is not None})
        if layout is None or len(times) < 2:
            raise ValueError(explain_missing_frames(groups))
        tokens: dict[int | None, list[int]] = {time: [] for time in (*times, None)}
        contents: dict[int | None, list[tuple[str, int]]] = {time: [] for time in (*times, None)}
        for group, part in zip(groups, layout.slices, strict=True):
            tokens[group_offset(group)] += range(len(layout))[part]
            contents[group_offset(group)].append((group.key, len(group)))
        timeless = tuple(tokens.pop(None))
        del contents[None]
        if any(content != contents[times[0]] for content in contents.values()):
            raise ValueError(
                "block 'space-time' needs frames that hold the same tokens, got (key, tokens) "
                f"by time: {contents}; build them with attention_agents.FrameHistory"
            )
        return cls(layout, tuple(times), tuple(map(tuple, tokens.values())), timeless)

    @property
    def along_time(self) -> TokenGroups:
        """One row for each place, of the same place in all T frames.

        A timeless token has a row to itself, in which it stands at the present alone.
        """
        T, P, R = len(self.times), len(self.frames[0]), len(self.timeless)
        rows = (*zip(*self.frames, strict=True), *((token,) * T for token in self.timeless))
        is_token = ((True,) * T,) * P + ((False,) * (T - 1) + (True,),) * R
        names = tuple("present" if time == 0 else f"{time} steps" for time in self.times)
        layout = TokenLayout((TokenGroup("history", names, offsets=self.times),))
        return TokenGroups(rows, is_token, self._last_entries(rows), layout)

    @property
    def along_space(self) -> TokenGroups:
        """One row for each frame, of its tokens and the timeless ones; these are queries in the
        last frame."""
        rows = tuple((*frame, *self.timeless) for frame in self.frames)
        is_token = ((True,) * len(rows[0]),) * len(rows)
        groups = self.layout.groups
        frame = (group for group in groups if group_offset(group) == self.times[-1])
        timeless = (group for group in groups if group_offset(group) is None)
        layout = TokenLayout((*frame, *timeless))
        return TokenGroups(rows, is_token, self._last_entries(rows), layout)

    def _last_entries(self, rows: tuple[tuple[int, ...], ...]) -> tuple[int, ...]:
        """Return the last entry of each token in rows set side by side."""
        last = {token: entry for entry, token in enumerate(n for row in rows for n in row)}
        return tuple(last[token] for token in range(len(self.layout)))


def group_offset(group: TokenGroup) -> int | None:
    """Return how many steps back a whole group is, <= 0; None where no one number says."""
    times = set(group.offsets or ())
    return times.pop() if len(times) == 1 else None


def explain_missing_frames(groups: tuple[TokenGroup, ...]) -> str:
    """Return why tokens are not frames, and what to do."""
    if any(group_offset(g) is None and g.offsets is not None for g in groups):
        return (
            "block 'space-time' needs frames of several tokens, and in this history each step is "
            "one token; use block='residual' with visibility='causal'"
        )
    return (
        "block 'space-time' needs the tokens of two frames or more, and this observation is of one "
        "step; give it a history (--history 4, in Python attention_agents.FrameHistory), or use "
        "block='residual'"
    )
