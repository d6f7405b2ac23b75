"""One bar for each part of a task, on a terminal; nothing elsewhere."""

from __future__ import annotations

import io
import sys

from attention_agents.agents.progress_bar import progress_bars


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_nothing_is_shown_where_nothing_is_wanted_or_there_is_no_terminal(monkeypatch, capsys):
    with progress_bars(True) as advance:
        advance("steps", 3)
    assert capsys.readouterr() == ("", "")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress_bars(False) as advance:
        advance("steps", 3)
    assert terminal.getvalue() == ""


def test_each_part_has_a_bar_with_its_total_and_its_note(monkeypatch, capsys):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "100")
    with progress_bars(True, {"episodes": 7}) as advance:
        advance("episodes", 2, note="return 3.5")
        advance("maps")
        print("a line of the work itself")
    shown = terminal.getvalue()
    assert "episodes" in shown
    assert "2/7" in shown
    assert "return 3.5" in shown
    assert "1/?" in shown
    assert capsys.readouterr().out == "a line of the work itself\n"
