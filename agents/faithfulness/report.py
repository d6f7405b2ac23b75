"""The ratings of a recording's maps: as JSON, and as a table for people."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from attention_agents.agents.faithfulness import xrl_bench
from attention_agents.agents.faithfulness.deletion_curves import GRID, RANDOM, RANDOM_ORDERS
from attention_agents.agents.faithfulness.saliency_maps import CAUSAL
from attention_agents.agents.faithfulness.scoring import SHUFFLES, RecordingScorer
from attention_agents.agents.faithfulness.verdict import (
    LEAST_CHANGE,
    RULE,
    MapRating,
    rate_map,
    verdict_sentence,
)
from attention_agents.agents.runs.run_folder import package_versions
from attention_agents.recording.leave_one_out import FAITHFULNESS_FILE

WIDTH = 106
"""Characters of a line of the table, at least."""


@dataclass(frozen=True)
class FaithfulnessReport:
    """How well the maps of a recorded policy explain it."""

    recording: str
    facts: dict[str, Any]
    """What was recorded: env, algo, run, checkpoint, episodes, ..."""
    scorer: RecordingScorer
    """With the results of every map."""
    drawn: str
    """Name of the map that is drawn by default; empty where no map reads tokens."""
    ratings: tuple[MapRating, ...]
    """Evidence; attention, best first; then the others; random order last."""
    truth: str
    """Why it is not known which tokens matter; empty where it is known."""
    is_recurrent: bool = False
    """Whether the policy has a recurrent state, from which nothing is removed."""
    has_attention: bool = True
    """Whether the policy's extractor attends."""

    @property
    def path(self) -> Path:
        """The file that holds all numbers."""
        return Path(self.recording) / FAITHFULNESS_FILE

    @property
    def best(self) -> MapRating | None:
        """The reading of attention with the largest areas; None where no map reads tokens."""
        return next((r for r in self.ratings if r.results.family == "attention"), None)

    @property
    def evidence(self) -> MapRating | None:
        """What spoke for the action and what against; None where it was not rated."""
        return next((r for r in self.ratings if r.results.family == "evidence"), None)

    @property
    def chance(self) -> MapRating:
        return self.ratings[-1]

    @property
    def verdict(self) -> str:
        """Whether the drawn map explains the policy, in a sentence."""
        if self._drawn_rating is not None:
            return verdict_sentence(self._drawn_rating, self.chance, top=self.scorer.top)
        if not self.has_attention:
            return f"The policy has no attention. {self.evidence_verdict}"
        return "There is no map to believe: the policy's attention does not read tokens."

    @property
    def evidence_verdict(self) -> str:
        """Whether evidence explains the policy, in a sentence; empty where it was not rated."""
        if self.evidence is None:
            return ""
        return verdict_sentence(self.evidence, self.chance, "The map", self.scorer.top)

    @property
    def notes(self) -> tuple[str, ...]:
        """What else a reader should know."""
        notes, best, curves = [], self.best, self.chance["both"]
        if best is not None and best.name != self.drawn and best.verdict != "nothing to explain":
            opening = "Best: the map"
            notes.append(verdict_sentence(best, self.chance, opening, self.scorer.top))
        notes.append(
            f"{self.scorer.causal_steps} causal maps; areas over "
            f"{0 if curves is None else curves.steps} different states; changes are "
            f"{self.scorer.unit}"
        )
        sanity = None if self._drawn_rating is None else self._drawn_rating["sanity"]
        if sanity is not None:
            notes.append(
                f"sanity: with shuffled weights, {self.drawn} gains {sanity.mean:+.2f} over random "
                f"order ({sanity.low:+.2f} to {sanity.high:+.2f}); "
                + ("it should not" if sanity.low > 0 else "nothing, as it should be")
            )
        notes += [f"removed {text}" for text in self.scorer.removal]
        if self.is_recurrent:
            notes.append("what the policy remembers of earlier steps is not removed")
        return (*notes, *([self.truth] if self.truth else []))

    def to_json(self) -> dict[str, Any]:
        return {
            **self.facts,
            "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "verdict": self.verdict,
            "evidence_verdict": self.evidence_verdict,
            "drawn": self.drawn,
            "best": None if self.best is None else self.best.name,
            "unit": self.scorer.unit,
            "removal": list(self.scorer.removal),
            "causal_steps": self.scorer.causal_steps,
            "truth": self.truth,
            "remembers": self.is_recurrent,
            "rule": RULE,
            "grid": [round(float(x), 2) for x in GRID],
            "interval": "95%, percentile bootstrap over steps, taken as independent",
            "random_orders": RANDOM_ORDERS,
            "shuffled_networks": SHUFFLES,
            "top": self.scorer.top,
            "xrl_bench": {
                "source": xrl_bench.SOURCE,
                "better": {name: better for name, (better, _) in xrl_bench.MEASURES.items()},
                "measures": {name: text for name, (_, text) in xrl_bench.MEASURES.items()},
                "k": self.scorer.extremes,
                "noise": xrl_bench.NOISE,
            },
            "maps": [rating.to_json() for rating in self.ratings],
            "versions": package_versions(),
        }

    def to_table(self) -> Table:
        """Lay it out for people."""
        facts = self.facts
        title = f"{facts['env']}: {facts['algo']} ({facts['checkpoint']}), what its maps are worth"
        caption = "* the attention map that is drawn" if self.drawn else None
        table = Table(title=title, caption=caption, box=SIMPLE_HEAD)
        table.add_column("order of", no_wrap=True)
        used = [name for name in COLUMNS if any(_cell_text(part, name) for part in self.ratings)]
        for name in used:
            heading = name.replace("top", f"top {self.scorer.top}")
            table.add_column(heading, justify="right", no_wrap=True)
        for rating in self.ratings:
            is_drawn = rating.name == self.drawn
            cells = (_cell_text(rating, name) for name in used)
            style = "bold" if is_drawn else None
            table.add_row(f"{rating.name}{' *' * is_drawn}", *cells, style=style)
        return table

    def to_xrl_table(self) -> Table:
        """Lay the measures of XRL-Bench out for people."""
        table = Table(title=f"measures of XRL-Bench, k = {self.scorer.extremes}", box=SIMPLE_HEAD)
        table.add_column("map", no_wrap=True)
        for name, (better, _) in xrl_bench.MEASURES.items():
            table.add_column(f"{name.upper()}\n{better} is\nbetter", justify="right", no_wrap=True)
        for rating in self.ratings:
            means = (rating[name] for name in ("aim", "aum", "pgi", "pgu"))
            cells = ["" if value is None else f"{value.mean:.3f}" for value in means]
            cells.append("" if rating.ris is None else f"{rating.ris:.3g}")
            table.add_row(rating.name, *cells)
        return table

    @property
    def _drawn_rating(self) -> MapRating | None:
        return next((rating for rating in self.ratings if rating.name == self.drawn), None)


def rate_maps(scorer: RecordingScorer) -> tuple[MapRating, ...]:
    """Rate every map; evidence comes first, then attention, the best before the others."""
    chance, causal = scorer.results[RANDOM].both, scorer.results[CAUSAL].both
    changes = max(scorer.largest_changes) >= LEAST_CHANGE
    ratings = [rate_map(results, chance, causal, changes) for results in scorer.results.values()]

    def sort_key(rating: MapRating) -> tuple[int, float]:
        both = rating["both"]
        return FAMILIES.index(rating.results.family), 0.0 if both is None else -both.mean

    return tuple(sorted(ratings, key=sort_key))


FAMILIES = ("evidence", "attention", "gradient", "removal", "random")
"""In the order in which ratings are listed."""


def print_report(report: FaithfulnessReport) -> None:
    """Print the tables, the verdicts and the notes on stdout."""
    console = Console(file=sys.stdout)
    console.width = max(console.width, WIDTH)
    console.print(report.to_table())
    console.print(report.to_xrl_table())
    for name, (_, text) in xrl_bench.MEASURES.items():
        print(f"{name.upper()}: {text}")
    print(f"Source: {xrl_bench.SOURCE}")
    print()
    if report.has_attention and report.evidence is not None:
        print(report.evidence_verdict)
    for line in (report.verdict, *report.notes):
        print(line)


COLUMNS = {
    "deletion": ("deletion", "{0.mean:.3f}"),
    "insertion": ("insertion", "{0.mean:.3f}"),
    "over\nrandom": ("gain", "{0.low:+.2f} {0.high:+.2f}"),
    "over\nshuffled": ("over_shuffled", "{0.low:+.2f} {0.high:+.2f}"),
    "rank\ncorr.": ("correlation", "{0.mean:+.2f}"),
    "top\nflip": ("flips", "{0.mean:.0%}"),
    "hits\ntruth": ("hit", "{0.mean:.0%}"),
    "mass on\ntruth": ("mass", "{0.mean:.0%}"),
}
"""Headings, each with an estimate of a rating and how it is written."""


def _cell_text(rating: MapRating, heading: str) -> str:
    name, form = COLUMNS[heading]
    estimate = None if (name, rating.name) == ("gain", RANDOM) else rating[name]
    return "" if estimate is None else form.format(estimate)
