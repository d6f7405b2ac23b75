"""Questions to a replay: what if it had not seen it, and where do two agents differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attention_agents.agents.config.run_config import TrainConfig
from attention_agents.agents.replay.diff import Difference, difference
from attention_agents.agents.replay.export import export_dataset
from attention_agents.agents.replay.find import find_matches
from attention_agents.agents.replay.hide import (
    Counterfactual,
    HiddenTokens,
    counterfactual,
    find_tokens,
    replay_without_tokens,
    token_names,
)
from attention_agents.agents.replay.options import (
    DiffOptions,
    ExportOptions,
    FindOptions,
    HideOptions,
    TextOutput,
)
from attention_agents.agents.runs.record_run import record_run
from attention_agents.agents.training.train import train
from attention_agents.recording.map_view import choose_view
from attention_agents.recording.reader import Recording, open_recording
from tests.recording.past_scene import ROAD

CUES = "attention/CueRecall-v0"
LENGTH = 8
"""Steps of every episode."""


def trained(folder: Path, **options: object) -> Path:
    small = dict(
        env=CUES, history=5, encoder="pooled", width=12, heads=3, layers=2, n_envs=1, device="cpu",
        eval_freq=0, save_freq=0, progress=False, hyperparams={"n_steps": 32, "batch_size": 32},
    )  # fmt: skip
    return train(TrainConfig(n_timesteps=64, log_folder=str(folder), **(small | options)))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("runs"), seed=1)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("runs"), seed=2)


@pytest.fixture(scope="module")
def recording(run: Path):
    return open_recording(record_run(run, episodes=2, seed=7, device="cpu"))


def hide(recording: Recording, hidden: str, **options: Any) -> Counterfactual:
    path = str(recording.folder)
    return counterfactual(recording, HideOptions(path=path, hidden=hidden, device="cpu", **options))


def diff(recording: Recording, run: Path, **options: Any) -> Difference:
    path = str(recording.folder)
    return difference(
        recording, DiffOptions(path=path, other_run=str(run), device="cpu", **options)
    )


def find(path: Path, condition: str, **options: Any) -> TextOutput:
    return find_matches(FindOptions(path=str(path), condition=condition, **options))


@pytest.mark.parametrize("text", ["", "key", "@3", "key@", "key@x", "key@-1", "key@1:", "key@a:1"])
def test_what_to_hide_is_said_as_token_at_step(text):
    with pytest.raises(ValueError, match=r"name what to hide as TOKEN@STEP, such as 'key@12', got"):
        HiddenTokens.parse(text)


@pytest.mark.parametrize("word", ["-2 steps", "2", "-2 STEPS"])
def test_the_other_future_is_the_same_up_to_the_step_and_blind_in_it(recording, tmp_path, word):
    seen = hide(recording, f"{word}@1:5", out=tmp_path / "blind")
    assert seen.tokens == ("-2 steps",)
    assert seen.future is not None and seen.page is not None and seen.notes == []
    was, goes_on = recording.episodes[1], seen.future.episodes[0]
    assert (goes_on.seed, len(goes_on)) == (was.seed, LENGTH)
    name = choose_view(was.header.maps).spec.name
    for t in range(6):
        for key, part in was[t].observation.items():
            np.testing.assert_array_equal(goes_on[t].observation[key], part)
    for t in range(5):
        assert goes_on[t].action == was[t].action
        np.testing.assert_array_equal(goes_on[t].maps[name], was[t].maps[name])
    assert was[5].maps[name][..., 2].min() > 0
    assert (goes_on[5].maps[name][..., 2] == 0).all()
    assert goes_on[6].maps[name][..., 2].min() > 0, "it sees again"
    options = HideOptions(
        path=str(recording.folder), hidden=f"{word}@1:5", out=str(tmp_path / "again"), device="cpu"
    )
    assert "without -2 steps" in " ".join(replay_without_tokens(options).lines)


def test_hiding_what_is_not_there_is_refused(recording):
    with pytest.raises(ValueError, match="there is no '-4 steps' at step 1"):
        hide(recording, "-4 steps@1")


def test_a_policy_differs_from_itself_in_nothing(recording, run, tmp_path):
    seen = diff(recording, run, out=tmp_path / "itself")
    assert len(seen.states) == 2 * LENGTH
    assert seen.summary.startswith("in 16 states they take the same action in 100%")
    assert max(each.distance for each in seen.states) < 1e-6
    assert {one for each in seen.states for one in each.actions} <= {"exit 0", "exit 1"}
    for one, another in zip(recording.episodes, seen.counterpart.episodes, strict=True):
        assert (one.seed, len(one)) == (another.seed, len(another))
        np.testing.assert_array_equal(one.rewards, another.rewards)
        np.testing.assert_array_equal(one[3].frame, another[3].frame)
        np.testing.assert_array_equal(one[3].distribution, another[3].distribution)
    assert (
        seen.counterpart.header.env_id == CUES
        and seen.counterpart.header.fps == recording.header.fps
    )


def test_another_policy_is_asked_in_the_same_states(recording, other, tmp_path):
    seen = diff(recording, other, episodes=1, out=tmp_path / "other")
    (one,), (another,) = recording.episodes[:1], seen.counterpart.episodes
    assert len(seen.states) == LENGTH
    views = [choose_view(each.header.maps) for each in (one, another)]
    apart = []
    for t in range(LENGTH):
        mine, theirs = (
            view.token_weights(each[t]) for view, each in zip(views, (one, another), strict=True)
        )
        apart.append(float(np.abs(mine / mine.sum() - theirs / theirs.sum()).sum()) / 2)
    assert [each.distance for each in seen.states] == pytest.approx(apart, abs=1e-6)
    assert max(apart) > 0.01
    differing = [one[t].action != another[t].action for t in range(LENGTH)]
    order = sorted(range(LENGTH), key=lambda t: (differing[t], apart[t]), reverse=True)
    assert [each.step for each in seen.largest(3)] == order[:3]
    for t in range(LENGTH):
        np.testing.assert_array_equal(one[t].observation[""], another[t].observation[""])
        assert another[t].action == another[t].distribution.argmax()
    page = (tmp_path / "other" / "replay.html").read_text("utf-8")
    assert f"{other.name} in the same states" in page


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"history": 3}, "the 3 tokens of the run .* are not the 5 of"),
        ({"env_kwargs": {"cues": 3}}, "has other actions than"),
    ],
)
def test_policies_of_another_world_are_refused(recording, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        diff(recording, trained(tmp_path, **options))


def test_steps_are_found_by_a_question(recording):
    answer = find(recording.folder, "step == 7 and attention['-4 steps'] > 0")
    assert [line.split("  ")[0] for line in answer.lines] == [
        "episode_0000 step 7",
        "episode_0001 step 7",
    ]
    assert answer.notes == ["2 of 16 steps"]


def test_a_question_that_only_the_episodes_refuse_says_where_they_are(run):
    before = set((run / "recordings").glob("*"))
    with pytest.raises(
        ValueError, match=r"no token is called 'kee'.*\nthe episodes are kept"
    ) as no:
        find(run, "attention[kee] > 0", device="cpu")
    (folder,) = set((run / "recordings").glob("*")) - before
    assert str(no.value).endswith(str(folder))
    assert len(find(folder, "step >= 6").lines) == 2


def export(recording: Recording, dataset_id: str, episodes: int) -> TextOutput:
    path = str(recording.folder)
    return export_dataset(ExportOptions(path=path, dataset_id=dataset_id, episodes=episodes))


def test_as_many_episodes_are_exported_as_are_asked_for(recording, tmp_path, monkeypatch):
    minari = pytest.importorskip("minari", reason="the extra `minari` is not installed")
    pytest.importorskip("h5py", reason="the extra `minari` is not installed")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "datasets"))
    for count in (1, 2):
        name = f"cues/{count}-v0"
        assert export(recording, name, count).lines == [name]
        assert minari.load_dataset(name).total_steps == count * LENGTH
    with pytest.raises(ValueError, match="episodes must be 1 to 2 in this recording, got 3"):
        export(recording, "cues/many-v0", 3)


@pytest.mark.parametrize(
    ("word", "names"),
    [
        ("car 11", ("car 11, -2 step", "car 11, -1 step", "car 11")),
        ("car 12, now", ("car 12",)),
        ("3", ("car 20, -2 step",)),
    ],
)
def test_hidden_objects_go_by_who_they_are(tmp_path, word, names):
    (episode,) = open_recording(ROAD.record(tmp_path / "seen", 4)).episodes
    tokens = find_tokens(episode, HiddenTokens(word, 0, 2))
    told = token_names(episode, 2, tokens)
    assert len(told) == len(names)
    assert all(said.startswith(name) for said, name in zip(told, names, strict=True))
