"""Make the pictures of docs/attention.md: the map of each mechanism on the same observations.

    python docs/attention_pictures.py                    # all, and docs/attention/fits.md
    python docs/attention_pictures.py --only additive    # one

A map of untrained weights shows nothing. So each mechanism is first fitted to a little task that
asks where something is (`pictures.tasks`), with the same sizes and seed for all. It takes some ten
minutes on one core.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from pictures import drawing
from pictures.drawing import Look, Panel
from pictures.models import EachAnswers, Fit, Model, Points, Reads, fit
from pictures.scene import Scene
from pictures.tasks import TASKS
from PIL import Image
from rich.console import Console
from rich.progress import track

from attention_agents.policies.attention.attention_config import AttentionConfig

FOLDER = Path(__file__).with_name("attention")
STEPS, SAMPLES = 600, 4000
SLOW = {"road": 400}
"""Observations of a task whose environment is slow."""
SCORES = ("scaled-dot-product", "dot", "general", "additive", "cosine", "location")
SHARP = {
    "sparsemax": AttentionConfig(normalizer="sparsemax", temperature=2.0),
    "top-k": AttentionConfig(hard_attention="top-k", top_k=2),
    "perturbed-top-k": AttentionConfig(hard_attention="perturbed-top-k", top_k=2, temperature=3.0),
    "gumbel": AttentionConfig(hard_attention="gumbel", temperature=3.0),
}
"""Mechanisms that read few tokens: at temperature 1 they settle on some before they know which."""
SLOWER = ("dot", "top-k", "perturbed-top-k", "gumbel", "causal", "relative", "residual", "isab")
SLOWER += ("attention-gru",)
"""Pictures that take twice the steps."""
IN_TIME, HEAD_MIXINGS = ("causal", "spatial", "temporal"), ("concat", "weighted", "talking")
INTRODUCTION = """\
# Where the fits ended

Root mean square error, or the share of wrong answers, of each picture in
[attention.md](../attention.md), for observations that were not learned from; beside it that of
always giving the same, best answer. Written by `docs/attention_pictures.py`. One seed, one little
task: not a ranking.

"""
STILL, MOVING = ("doorkey", "pong"), ("doorkey frames", "pong frames")


@dataclass(frozen=True)
class Picture:
    """How one mechanism is fitted and drawn."""

    kind: type[Model]
    words: tuple[tuple[str, Any], ...] = ()
    """Options of the extractor."""
    look: Look = drawing.readout
    tasks: tuple[str, ...] = STILL

    def fits(self, steps: int, samples: int) -> list[Fit]:
        return [fitted(task, self.kind, self.words, steps, samples) for task in self.tasks]

    def drawn(self, name: str, fits: list[Fit]) -> Image.Image:
        """Draw the first observations of each task."""
        rows: list[list[Panel]] = []
        for one in fits:
            rows.append([])
            for i in range(one.scene.drawn):
                with torch.no_grad():
                    maps = one.model.maps(one.scene.batch(slice(i, i + 1)))
                source = maps[-1] if self.look in (drawing.readout, drawing.heads) else maps[0]
                framed = self.look is drawing.asker and source.queries == "tokens"
                looked = self.look(maps, one.scene)
                rows[-1] += [Panel(one.scene, row, source, framed) for row in looked]
        return drawing.arranged(name, rows)


@cache
def scene(task: str, samples: int) -> Scene:
    return TASKS[task].scene(min(samples, SLOW.get(task, samples)))


@cache
def fitted(
    task: str, kind: type[Model], words: tuple[tuple[str, Any], ...], steps: int, samples: int
) -> Fit:
    return fit(scene(task, samples), partial(kind, **dict(words)), steps)


def reads(look: Look = drawing.readout, tasks: tuple[str, ...] = STILL, **words: Any) -> Picture:
    """Let a readout answer; `words` are of the extractor."""
    return Picture(Reads, tuple(words.items()), look, tasks)


def each(look: Look = drawing.asker, tasks: tuple[str, ...] = STILL, **words: Any) -> Picture:
    """Let every token answer, after one block; `words` are of the extractor."""
    return Picture(EachAnswers, tuple(words.items()), look, tasks)


PICTURES: dict[str, Picture] = {
    **{word: reads(attention=AttentionConfig(score=word)) for word in SCORES},
    **{word: reads(attention=AttentionConfig(normalizer=word)) for word in ("entmax15", "sigmoid")},
    **{word: reads(attention=mechanism) for word, mechanism in SHARP.items()},
    **{word: each(attention=AttentionConfig(visibility=word)) for word in ("local", "predicted")},
    **{word: each(tasks=MOVING, attention=AttentionConfig(visibility=word)) for word in IN_TIME},
    "relative": each(attention=AttentionConfig(positions="relative")),
    **{
        word: reads(drawing.heads, attention=AttentionConfig(head_mixing=word))
        for word in HEAD_MIXINGS
    },
    **{word: each(block=word) for word in ("residual", "gtrxl", "sab")},
    "isab": each(drawing.queries, block="isab"),
    "space-time": each(tasks=MOVING, block="space-time"),
    "channel": reads(drawing.gates, block="channel", layers=2),
    **{word: reads(drawing.queries, readout=word) for word in ("queries", "slots")},
    **{word: reads(readout=word) for word in ("cls", "votes")},
    "cross": reads(drawing.asker, ("doors",), readout="cross", asker="mission"),
    "ego": reads(tasks=("road",), readout="ego"),
    **{word: reads(tasks=("recall",), readout=word) for word in ("present", "augru", "attgru")},
    "attention-gru": reads(tasks=MOVING, readout="attention-gru"),
    "pointer": Picture(Points, tasks=("fruit",)),
}
"""By file name. The words softmax, none and query are those of the first, global of residual."""


def main(only: str | None, steps: int, samples: int, folder: Path) -> None:
    torch.set_num_threads(1)
    names = [only] if only else list(PICTURES)
    folder.mkdir(parents=True, exist_ok=True)
    table = []
    for name in track(names, "pictures", console=Console(stderr=True)):
        fits = PICTURES[name].fits(steps * (1 + (name in SLOWER)), samples)
        PICTURES[name].drawn(name, fits).save(folder / f"{name}.png", optimize=True)
        table.append((name, fits))
    print(fits_table(table))
    if not only:
        (folder / "fits.md").write_text(INTRODUCTION + fits_table(table), "utf-8")


def fits_table(rows: list[tuple[str, list[Fit]]]) -> str:
    """Return where each fit ended, beside who answers without looking."""
    lines = ["| picture | task | error | without looking |", "|---|---|---|---|"]
    for name, fits in rows:
        for task, one in zip(PICTURES[name].tasks, fits, strict=True):
            error, blind = (_said(x, one.scene.unit) for x in (one.error, one.scene.blind()))
            lines.append(f"| {name} | {task} | {error} | {blind} |")
    return "\n".join([*lines, ""])


def _said(error: float, unit: str) -> str:
    return f"{error:.2f} {unit}" if unit else f"{error:.1%} wrong"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--only", choices=PICTURES, metavar="NAME", help="make this one alone")
    parser.add_argument("--steps", type=int, default=STEPS, help="of each fit")
    parser.add_argument("--samples", type=int, default=SAMPLES, help="of each task")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where pictures go")
    given = parser.parse_args()
    main(given.only, given.steps, given.samples, given.folder)
