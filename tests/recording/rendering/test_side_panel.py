"""The words beside a picture: none of them is cut where there is room for a second line."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from attention_agents.recording.map_view import MapView
from attention_agents.recording.rendering.drawing import Pen, drawable_text, load_font, wrap_text
from attention_agents.recording.rendering.overlay import SIDE, Scene
from attention_agents.recording.rendering.side_panel import ShownText


def test_words_are_broken_between_them():
    text = "one two three four five six seven"
    lines = wrap_text(text, 110, 13)
    assert len(lines) == 2 and " ".join(lines) == text
    assert load_font(13).getlength(drawable_text(lines[0])) <= 110
    first = f"{lines[0]} {lines[1].split()[0]}"
    assert load_font(13).getlength(drawable_text(first)) > 110, (
        "the first line is as long as it can be"
    )
    assert wrap_text(text, 400, 13) == (text,)
    assert wrap_text("indivisible", 5, 13) == ("indivisible",)
    assert wrap_text("", 110, 13) == ("",)


@pytest.mark.parametrize(
    "query_source", ["ego", "learned query", "query learned for each part of the road"]
)
def test_a_rollout_is_told_in_full(header, make_step, monkeypatch, query_source):
    spec = replace(
        header.maps[1], name="actor/rollout", heads=1, derived="rollout", query_source=query_source
    )
    view = MapView(spec, None)
    written: list[str] = []
    write = Pen.draw_text

    def text(pen, x, y, text, size=14, color=(0, 0, 0), width=1e9, anchor="lm"):
        assert load_font(size).getlength(drawable_text(text)) <= width, f"{text!r} is cut"
        written.append(text)
        return write(pen, x, y, text, size, color, width, anchor)

    monkeypatch.setattr(Pen, "draw_text", text)
    words, step = ShownText(view, SIDE), make_step(0)
    step.maps[spec.name] = np.full((1, 1, 8), 1 / 8, np.float32)
    pen = Pen(Image.new("RGB", (SIDE, words.height)))
    words.draw(pen, 0, 0, SIDE, step, view.token_weights(step))
    said = " ".join(written)
    assert all(line in said for line in view.description)


def test_a_longer_caption_makes_a_taller_picture(header, make_step):
    def height(query_source: str) -> int:
        maps = (
            header.maps[0],
            replace(header.maps[1], query_source=query_source, queries="readout"),
        )
        spec = replace(maps[1], name="actor/2", layer=2, query_count=1, normalized_over="none")
        weights = {**make_step(0).maps, spec.name: make_step(0).maps["actor/1"]}
        step = make_step(0, frame=None, places=None, maps=weights)
        return Scene(replace(header, maps=(*maps, spec)), step).size[1]

    assert height("query learned for each part of the road") > height("ego")
