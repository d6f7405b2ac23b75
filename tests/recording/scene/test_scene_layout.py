"""Where tokens are shown, and which actions there is room for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from attention_agents.envs.tokens.layout import TokenLayout
from attention_agents.envs.tokens.specs import History
from attention_agents.recording.map_spec import MapSpec
from attention_agents.recording.scene.actions import (
    action_text,
    likeliest_action,
    shown_choices,
)
from attention_agents.recording.scene.display import MAX_ROWS, format_rest, label_interval
from attention_agents.recording.scene.scene_layout import layout_of, rank_tokens


def test_tokens_with_a_box_stand_on_the_picture_and_others_in_bars(header, make_step):
    layout = layout_of(header, make_step(0))
    shown = [*layout.placed, *layout.bars]
    assert sorted(shown, key=layout.number) == list(layout.parts)
    boxes = layout.boxes(make_step(0))
    assert np.isfinite(boxes[layout.on_picture]).any()
    assert np.isnan(boxes[~layout.on_picture]).all()
    assert layout.size == make_step(0).frame.shape[:2]


def test_without_a_frame_a_feature_has_no_picture(header, make_step):
    layout = layout_of(header, make_step(0, frame=None, places=None))
    assert layout.size is None and layout.placed == () and len(layout.bars) == len(layout.parts)
    assert layout.to_json()["size"] is None


def test_of_two_histories_one_is_the_strip_and_none_is_lost(header, make_step):
    groups = (*History(4, 2).token_groups("fast"), *History(3, 2).token_groups("slow"))
    header = replace(
        header,
        layout=TokenLayout(groups),
        maps=(MapSpec("actor/0", "actor", 0, 1, "readout"),),
        observation_keys=("fast", "slow"),
    )
    observation = {"fast": np.zeros((4, 3)), "slow": np.zeros((3, 3))}
    layout = layout_of(header, make_step(0, observation=observation, mask=None, places=None))
    assert layout.strip is not None and layout.strip.group.key == "slow"
    assert [part.group.key for part in layout.bars] == ["fast"]


def test_tokens_are_ranked_by_weight_and_absent_ones_left_out(header, make_step):
    step = make_step(0)
    weights = np.where(step.present, np.arange(8) / 10, 0).astype(np.float32)
    ranked = rank_tokens(layout_of(header, step).parts, step, weights)
    assert len(ranked) == step.present.sum()
    assert [weight for _, weight in ranked] == sorted(weights[step.present].tolist(), reverse=True)


@pytest.mark.parametrize(
    ("kind", "sizes", "distribution", "expected"),
    [
        ("discrete", (3,), [0.2, 0.5, 0.3], [1]),
        ("multi_discrete", (2, 3), [0.4, 0.6, 0.7, 0.2, 0.1], [1, 0]),
        ("multi_binary", (1, 1, 1), [0.4, 0.6, 0.7], [0, 1, 1]),
        ("continuous", (2,), [[0.1, -0.5], [0, -1], [1, 0]], [0.1, -0.5]),
    ],
)
def test_the_likeliest_action(header, kind, sizes, distribution, expected):
    name = "gaussian" if kind == "continuous" else "probabilities"
    header = replace(
        header, action_kind=kind, action_sizes=sizes, distribution=name, action_names=None
    )
    action = likeliest_action(header, np.array(distribution))
    assert action.astype(float).tolist() == expected
    assert action_text(header, action)


def test_of_many_actions_the_chosen_and_the_likeliest_are_listed(header):
    count = MAX_ROWS + 5
    header = replace(header, action_sizes=(count,), action_names=None)
    distribution = np.linspace(0, 1, count)
    rows = shown_choices(header, np.int64(2), distribution)
    assert rows == [2, *range(count - MAX_ROWS + 1, count)]
    assert shown_choices(header, np.int64(2), None) == list(range(MAX_ROWS))


def test_labels_do_not_touch():
    assert label_interval(30, 20) == 1
    assert label_interval(7, 20) == 4
    assert label_interval(0.001, 20) == 1000
    assert format_rest(1, "0.250") == "1 other, 0.250"
    assert format_rest(22, "0.500") == "22 others, together 0.500"
