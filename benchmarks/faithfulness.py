"""What attention maps of trained agents are worth, as Markdown, from the scores beside recordings.

    python evaluate.py faithfulness RUN
    python benchmarks/faithfulness.py RUN ... > benchmarks/faithfulness.md

Of a run the latest scored recording counts. Nothing is computed here but the layout.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import tyro

from attention_agents.agents.cli.command import run_script
from attention_agents.recording.leave_one_out import FAITHFULNESS_FILE, read_faithfulness
from attention_agents.recording.page.verdict import COLUMNS

Summary = dict[str, Any]


@dataclass(frozen=True)
class FaithfulnessTableConfig:
    """Print the table of several scored runs or recordings."""

    paths: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN|RECORDING")]
    """Run folders, or recordings that `evaluate.py faithfulness` has scored."""


def main(config: FaithfulnessTableConfig) -> None:
    if not config.paths:
        raise ValueError("name at least one run or recording that evaluate.py has scored")
    summaries = [scored(Path(path)) for path in config.paths]
    print(document(summaries))


def scored(path: Path) -> Summary:
    """Return the scores of a recording, or of the recording of a run that was scored last.

    Raises:
        ValueError: there are none.
    """
    places = [path, *path.glob("recordings/*")]
    found = [place for place in places if (place / FAITHFULNESS_FILE).is_file()]
    if not found:
        raise ValueError(f"{path} has no scores; run evaluate.py faithfulness {path} first")
    latest = max(found, key=lambda place: (place / FAITHFULNESS_FILE).stat().st_mtime)
    summary = read_faithfulness(latest)
    assert summary is not None, "it was there just now"
    return summary


def document(summaries: list[Summary]) -> str:
    """Return all tables: which map scores best under each encoder, then each run's maps."""
    parts = [
        "# What attention maps are worth\n",
        summaries[0]["rule"] + "\n",
        "Intervals: " + summaries[0]["interval"] + ". Areas run from 0 to 1, more is better; "
        "`over random` and `over shuffled` are differences of the mean of both areas.\n",
        "## The best map by encoder\n",
        table(
            ["agent", "encoder", "drawn", "is", "best", "is"],
            [_overview(summary) for summary in summaries],
        ),
    ]
    for summary in summaries:
        parts += [f"\n## {_agent(summary)}\n", summary["verdict"] + "\n", _maps(summary)]
        parts.append("\n" + _facts(summary))
    return "\n".join(parts)


def table(heads: list[str], rows: list[list[str]]) -> str:
    """Lay cells out as Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _overview(summary: Summary) -> list[str]:
    by_name = {each["name"]: each for each in summary["maps"]}
    encoder = summary["encoder"]
    words = f"{encoder['layers']} x {encoder['block']}, readout {encoder['readout']}"
    attention = encoder["attention"]  # a word in summaries of version 0.1
    score = attention["score"] if isinstance(attention, dict) else attention
    if score != "scaled-dot-product":
        words += f", {score}"
    cells = [_agent(summary), words]
    for name in (summary["drawn"], summary["best"]):
        cells += [name, by_name[name]["verdict"]] if name else ["none", ""]
    if summary["drawn"] and summary["drawn"] != summary["best"]:
        drawn, best = (by_name[summary[which]]["both"] for which in ("drawn", "best"))
        if drawn["low"] <= best["mean"] <= drawn["high"]:
            cells[-2] += " (ahead by less than the interval of the drawn)"
    return cells


def _agent(summary: Summary) -> str:
    return f"{summary['env']}, {summary['algo']}"


def _maps(summary: Summary) -> str:
    maps = summary["maps"]
    used = {
        head: (name, form)
        for head, (name, form) in COLUMNS.items()
        if any(each[name] is not None for each in maps)
    }
    rows = []
    for each in maps:
        drawn = f"**{each['name']}**" if each["name"] == summary["drawn"] else each["name"]
        even = each["family"] == "random"
        cells = [
            "" if even and name == "gain" else _estimate(each[name], form)
            for name, form in used.values()
        ]
        rows.append([drawn, *cells, each["verdict"] or ""])
    return table(["order of", *used, "verdict"], rows)


def _estimate(value: dict[str, float] | None, form: str) -> str:
    if value is None:
        return ""
    mean, low, high = (format(value[name], form) for name in ("mean", "low", "high"))
    return f"{mean} ({low} to {high})"


def _facts(summary: Summary) -> str:
    areas = next(each["both"] for each in summary["maps"] if each["family"] == "random")
    lines = [
        f"{summary['causal_steps']} causal maps, areas over {areas['steps']} different states of "
        f"{len(summary['seeds'])} episodes; changes are {summary['unit']}.",
        *(f"Removed {words}." for words in summary["removal"]),
        *([f"Truth: {summary['truth']}."] if summary["truth"] else []),
    ]
    return " ".join(lines)


if __name__ == "__main__":
    run_script(main, FaithfulnessTableConfig)
