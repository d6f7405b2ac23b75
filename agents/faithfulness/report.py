"""What the scores of a recording come to: as JSON, and as a table for people."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from attention_agents.agents.faithfulness.deletion import RANDOM, RANDOM_ORDERS
from attention_agents.agents.faithfulness.deletion_curves import GRID, TOP
from attention_agents.agents.faithfulness.map_results import Estimate
from attention_agents.agents.faithfulness.saliency_maps import CAUSAL
from attention_agents.agents.faithfulness.scoring import SHUFFLES, Tally
from attention_agents.agents.faithfulness.verdict import LEAST, RULE, Finding, finding, sentence
from attention_agents.agents.runs.run_folder import versions
from attention_agents.recording.scores import SUMMARY_FILE

WIDTH = 106
"""Characters of a line of the table, at least."""


@dataclass(frozen=True)
class FaithfulnessReport:
    """What a recording says of the maps of its policy."""

    recording: str
    facts: dict[str, Any]
    """What was recorded: env, algo, run, checkpoint, episodes, ..."""
    unit: str
    removal: tuple[str, ...]
    """How tokens are removed, a line for each part of the observation."""
    drawn: str
    """Name of the map that is drawn where nobody chooses; empty where no map reads tokens."""
    findings: tuple[Finding, ...]
    """Attention, best first; then the others; random order last."""
    steps: int
    """Steps with a causal map."""
    truth: str
    """Why it is not known what matters; empty where it is known."""
    remembers: bool = False
    """Whether the policy has a memory, from which nothing is removed."""

    @property
    def path(self) -> Path:
        """Where all numbers lie."""
        return Path(self.recording) / SUMMARY_FILE

    @property
    def best(self) -> Finding | None:
        """The reading of attention that scores best; None where no map reads tokens."""
        first = self.findings[0]
        return first if first.evidence.family == "attention" else None

    @property
    def chance(self) -> Finding:
        return self.findings[-1]

    @property
    def verdict(self) -> str:
        """What the drawn map is worth, in a sentence."""
        if self._drawn is None:
            return "There is no map to believe: the policy's attention does not read tokens."
        return sentence(self._drawn, self.chance)

    @property
    def notes(self) -> tuple[str, ...]:
        """What else a reader should know."""
        notes = []
        best = self.best
        if best is not None and best.name != self.drawn and best.word != "nothing to explain":
            notes.append(sentence(best, self.chance, opening="Best: the map"))
        curves = self.chance.both
        notes.append(
            f"{self.steps} causal maps; areas over {0 if curves is None else curves.steps} "
            f"different states; changes are {self.unit}"
        )
        sanity = None if self._drawn is None else self._drawn.sanity
        if sanity is not None:
            notes.append(
                f"sanity: with shuffled weights, {self.drawn} gains {sanity.mean:+.2f} over random "
                f"order ({sanity.low:+.2f} to {sanity.high:+.2f}); "
                + ("it should not" if sanity.low > 0 else "nothing, as it should be")
            )
        notes += [f"removed {words}" for words in self.removal]
        if self.remembers:
            notes.append("what the policy remembers of earlier steps is not removed")
        return (*notes, *([self.truth] if self.truth else []))

    def to_json(self) -> dict[str, Any]:
        return {
            **self.facts,
            "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "verdict": self.verdict,
            "drawn": self.drawn,
            "best": None if self.best is None else self.best.name,
            "unit": self.unit,
            "removal": list(self.removal),
            "causal_steps": self.steps,
            "truth": self.truth,
            "remembers": self.remembers,
            "rule": RULE,
            "grid": [round(float(x), 2) for x in GRID],
            "interval": "95%, percentile bootstrap over steps, taken as independent",
            "random_orders": RANDOM_ORDERS,
            "shuffled_networks": SHUFFLES,
            "top": TOP,
            "maps": [each.to_json() for each in self.findings],
            "versions": versions(),
        }

    def table(self) -> Table:
        """Lay it out for people."""
        facts = self.facts
        title = f"{facts['env']}: {facts['algo']} ({facts['checkpoint']}), what its maps are worth"
        shown = Table(title=title, caption="* the map that is drawn", box=SIMPLE_HEAD)
        shown.add_column("order of", no_wrap=True)
        columns = [name for name, cell in CELLS.items() if any(map(cell, self.findings))]
        for name in columns:
            shown.add_column(name, justify="right", no_wrap=True)
        for each in self.findings:
            drawn = each.name == self.drawn
            cells = (CELLS[column](each) for column in columns)
            shown.add_row(f"{each.name}{' *' * drawn}", *cells, style="bold" if drawn else None)
        return shown

    @property
    def _drawn(self) -> Finding | None:
        return next((each for each in self.findings if each.name == self.drawn), None)


def findings_of(tally: Tally) -> tuple[Finding, ...]:
    """Weigh what was found of every map; attention comes first, the best before the others."""
    chance = tally.evidence[RANDOM].per_step("both")
    causal = tally.evidence[CAUSAL].per_step("both")
    moves = max(tally.moved) >= LEAST
    found = []
    for name, evidence in tally.evidence.items():
        own = tally.shuffled.get(name)
        control = None if own is None else np.concatenate([area.both for area in own])
        found.append(finding(evidence, chance, causal, control, moves))
    places = {"attention": 0, "gradient": 1, "removal": 2, "random": 3}

    def place(each: Finding) -> tuple[int, float]:
        return places[each.evidence.family], -(each.both.mean if each.both is not None else 0.0)

    return tuple(sorted(found, key=place))


def show(report: FaithfulnessReport) -> None:
    """Print the table, the verdict and the notes on stdout."""
    console = Console(file=sys.stdout)
    console.width = max(console.width, WIDTH)
    console.print(report.table())
    for line in (report.verdict, *report.notes):
        print(line)


def _mean(value: Estimate | None, form: str) -> str:
    return "" if value is None else format(value.mean, form)


def _gain(found: Finding) -> str:
    gain = found.gain
    if gain is None or found.evidence.family == "random":
        return ""
    return f"{gain.low:+.2f} {gain.high:+.2f}"


def _over(found: Finding) -> str:
    over = found.over_shuffled
    return "" if over is None else f"{over.low:+.2f} {over.high:+.2f}"


CELLS: dict[str, Callable[[Finding], str]] = {
    "deletion": lambda found: _mean(found.deletion, ".3f"),
    "insertion": lambda found: _mean(found.insertion, ".3f"),
    "over\nrandom": _gain,
    "over\nshuffled": _over,
    "rank\ncorr.": lambda found: _mean(found.correlation, "+.2f"),
    f"top {TOP}\nflip": lambda found: _mean(found.flips, ".0%"),
    "hits\ntruth": lambda found: _mean(found.hit, ".0%"),
    "mass on\ntruth": lambda found: _mean(found.mass, ".0%"),
}
"""The columns of the table, and how each is read from a finding."""
