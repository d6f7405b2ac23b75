"""Questions to a recording: what words mean, what is answered, and what is refused."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from attention_agents.envs.tokens.layout import TokenGroup, TokenLayout, TokenPlaces
from attention_agents.recording.header import Header
from attention_agents.recording.map_spec import MapSpec
from attention_agents.recording.map_view import choose_view
from attention_agents.recording.query.columns import COLUMNS, EpisodeColumns
from attention_agents.recording.query.expression import (
    MAX_LENGTH,
    check_query,
    describe_words,
    matching_steps,
)
from attention_agents.recording.query.vocabulary import TokenVocabulary
from attention_agents.recording.reader import open_recording
from attention_agents.recording.step import Step
from attention_agents.recording.writer import RecordingWriter

WORDS = (("empty", "wall", "key", "door"), ("red", "yellow"))
LAYOUT = TokenLayout(
    (
        TokenGroup("cells", ("row 0 col 0", "row 0 col 1", "row 0 col 2"), "view", words=WORDS),
        TokenGroup("entities", ("ego car", "car 1", "car 2"), "cars", ego=0),
        TokenGroup("features", ("speed",), "speed"),
    )
)
N, T = 7, 5
VIEWS = np.array(
    [
        [[2, 1], [0, 0], [1, 0]],  # a yellow key, empty, wall
        [[0, 0], [2, 1], [1, 0]],
        [[0, 0], [2, 0], [2, 1]],  # a red key and a yellow one
        [[0, 0], [0, 0], [3, 1]],
        [[0, 0], [0, 0], [0, 0]],
    ]
)
WEIGHTS = np.array(
    [
        [0.7, 0.1, 0.0, 0.1, 0.0, 0.1, 0.0],
        [0.7, 0.1, 0.0, 0.1, 0.0, 0.1, 0.0],
        [0.1, 0.3, 0.4, 0.0, 0.2, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.5, 0.0, 0.5],
        [0.1, 0.1, 0.1, 0.1, 0.1, 0.0, 0.5],
    ],
    np.float32,
)
ACTIONS = (0, 1, 1, 2, 0)
REWARDS = (0.0, 0.0, 0.5, 0.0, 1.0)
VALUES = (0.1, 0.2, None, 0.4, -0.5)
PRESENT = np.array([[True] * N] * T)
PRESENT[4, 5] = False


@pytest.fixture
def columns(tmp_path):
    spec = MapSpec("actor/0", "actor", 0, 1, "readout")
    header = Header(
        "Room-v0", LAYOUT, (spec,), ("view", "cars", "speed"), "discrete", (3,), "probabilities",
        action_names=("left", "right", "pick up"),
    )  # fmt: skip
    with RecordingWriter(tmp_path / "recording", header) as writer:
        writer.begin_episode(3)
        for t in range(T):
            step = Step(
                observation={
                    "view": VIEWS[t],
                    "cars": np.zeros((3, 2), np.float32),
                    "speed": np.zeros(1, np.float32),
                },
                action=np.int64(ACTIONS[t]),
                maps={"actor/0": WEIGHTS[t][None, None]},
                distribution=np.eye(3, dtype=np.float32)[ACTIONS[t]] * 0.7 + 0.1,
                value=VALUES[t],
                reward=REWARDS[t],
                terminated=t == T - 1,
                mask=PRESENT[t],
            )
            writer.add_step(step)
        writer.end_episode()
    (episode,) = open_recording(tmp_path / "recording").episodes
    return EpisodeColumns(episode, choose_view(header.maps))


ANSWERS = {
    "attention[key] > 0.5": [0, 2],  # at step 1 it looks where the key was
    "attention['yellow key'] > 0.35": [0, 2],
    "attention['red key'] > 0.25": [2],
    "attention[KEY] > 0.5 and action == 'left'": [0],
    "attention[car] >= 0.2 - 1e-6": [2, 3],
    "attention['ego car'] > attention['car 1']": [0, 1],
    "attention[cars] > attention[view]": [3],
    "attention['speed'] == attention[6]": [0, 1, 2, 3, 4],
    "present[key] == 2": [2],
    "present[key] == 0 or reward > 0.9": [3, 4],
    "present[cars] < 3": [4],
    "action != 'right'": [0, 3, 4],
    "changed": [1, 3, 4],
    "not changed and step > 0": [2],
    "previous(action) == 'pick up'": [4],
    "next(reward) > 0": [1, 3],
    "0 < reward <= 0.5": [2],
    "total > 0.4 and -reward < 0": [2, 4],
    "value < 0": [4],
    "value >= -1": [0, 1, 3, 4],
    "abs(value) > 0.3": [3, 4],
    "probability > 0.75 and policy['pick up'] > 0.5": [3],
    "shift > 0.4": [2, 3, 4],
    "spread < 2.01 and spread > 1.99": [3],
    "entropy > 0.63 and entropy < 0.65": [0, 1, 2, 3, 4],
    "terminated or truncated": [4],
    "(step + 1) / 2 * 2 - 1 == step": [0, 1, 2, 3, 4],
    "True": [0, 1, 2, 3, 4],
}


@pytest.mark.parametrize("question", ANSWERS)
def test_steps_are_found(question, columns):
    assert matching_steps(question, columns).tolist() == ANSWERS[question]


REFUSED = {
    "": "cannot read the question",
    "reward >": "cannot read the question",
    "x" * (MAX_LENGTH + 1): "at most 500 characters",
    "(" * 60 + "step" + ")" * 60 + "+" + "-" * 40 + "1 > 0": "brackets within brackets",
    "rewrd > 0": "unknown word 'rewrd': did you mean 'reward'?",
    "reward": "is not answered by yes or no",
    "reward and step": "reward is not yes or no",
    "action > 0": "do not compare: one is text, one a number",
    "action == 'pickup'": "unknown action 'pickup': did you mean 'pick up'?",
    "attention > 0": "say of what: attention[key]",
    "attention[kee] > 0": "no token is called 'kee': did you mean 'key'",
    f"reward > 1{'0' * 400}": "a number in a question is below 1.8e308, got one of 401 digits",
    f"-1{'0' * 400} < reward": "a number in a question is below 1.8e308, got one of 401 digits",
    "attention[yellow] > 0": "'yellow' says how a thing is; say which",
    "attention['purple key'] > 0": "no token is called 'purple key'",
    "attention[1:2] > 0": "put '1:2' in quotes",
    "policy['jump'] > 0": "no action is called 'jump'; there are left, right, pick up",
    "action + 1 > 0": "action is text, and a number is needed",
    "reward ** 9 ** 9 > 0": "use + - * /",
    "reward in (1, 2)": "a question cannot hold",
    "step is None": "a question cannot hold",
    "min(reward) > 0": "unknown word 'min'",
    "abs(reward, 1) > 0": "abs takes one thing",
    "__import__('os').system('true')": "unknown word",
    "().__class__.__bases__[0] == 1": "unknown word",
    "reward.shape > 0": "a question cannot hold 'reward.shape'",
    "[x for x in (1,)] == 1": "a question cannot hold",
    "(lambda: 1)() > 0": "unknown word",
    "f'{reward}' == 'a'": "a question cannot hold",
    "b'a' == action": "a question cannot hold b'a'",
    "None": "a question cannot hold None",
    "(y := 3) > 0": "a question cannot hold",
    "\0": "cannot read the question",
}


@pytest.mark.parametrize("question", REFUSED)
def test_what_is_no_question_is_refused_with_the_reason(question, columns):
    with pytest.raises(ValueError, match=re.escape(REFUSED[question])):
        matching_steps(question, columns)


UNASKABLE = (
    "reward >",
    "rewrd > 0",
    "reward",
    "nonsense(reward) > 0",
    "action > 0",
    "attention > 0",
)


@pytest.mark.parametrize("question", UNASKABLE)
def test_a_mistake_is_seen_without_an_episode(question):
    with pytest.raises(ValueError, match=re.escape(REFUSED.get(question, "unknown word"))):
        check_query(question)


@pytest.mark.parametrize("question", ANSWERS)
def test_what_has_an_answer_passes_the_check(question):
    check_query(question)


def test_what_only_an_episode_knows_passes_the_check(columns):
    for question in ("attention[kee] > 0", "action == 'pickup'", "policy['jump'] > 0"):
        check_query(question)
        with pytest.raises(ValueError, match=re.escape(REFUSED[question])):
            matching_steps(question, columns)


def of_choices(folder, kind, sizes, action, chances):
    """Return the columns of one step in which several choices were made at once."""
    header = Header(
        "Switches-v0", TokenLayout((TokenGroup("features", ("x", "y")),)),
        (MapSpec("actor/0", "actor", 0, 1, "readout"),), ("",), kind, sizes, "probabilities",
    )  # fmt: skip
    with RecordingWriter(folder, header) as writer:
        writer.begin_episode(3)
        writer.add_step(
            Step(
                observation={"": np.zeros(2, np.float32)},
                action=np.array(action),
                maps={"actor/0": np.full((1, 1, 2), 0.5, np.float32)},
                distribution=np.array(chances, np.float32),
            )
        )
        writer.end_episode()
    (episode,) = open_recording(folder).episodes
    return EpisodeColumns(episode, choose_view(header.maps))


@pytest.mark.parametrize(
    ("kind", "sizes", "action", "chances", "probability", "entropy"),
    [
        ("discrete", (3,), 1, [0.2, 0.7, 0.1], 0.7, 0.801819),
        ("multi_discrete", (2, 2), [0, 1], [1, 0, 0.5, 0.5], 0.5, 0.693147),
        ("multi_discrete", (2, 3), [1, 2], [0.9, 0.1, 0.2, 0.3, 0.5], 0.05, 0.325083 + 1.029653),
        ("multi_binary", (2,), [1, 0], [0.9, 0.1], 0.81, 0.650166),
        ("multi_binary", (2,), [0, 0], [0.9, 0.1], 0.09, 0.650166),
        ("multi_binary", (3,), [1, 1, 0], [1, 0.5, 0], 0.5, 0.693147),
    ],
)
def test_choices_made_at_once(tmp_path, kind, sizes, action, chances, probability, entropy):
    columns = of_choices(tmp_path / "seen", kind, sizes, action, chances)
    assert columns["probability"].tolist() == pytest.approx([probability], abs=1e-6)
    assert columns["entropy"].tolist() == pytest.approx([entropy], abs=1e-5)


ROWS = ([0.6, 0.3, 0.1], [0.6, 0.1, 0.3], [0.2, 0.3, 0.5], [0.0, 0.0, 0.0], [0.1, 0.2, 0.7])
IDS = ([7, 8, 9], [7, 9, 8], [9, 8, 7], [9, 8, 7], [9, 8, 7])
"""Objects 8 and 9 change slots with all that they have, then 7 and 9, and 7 loses some."""


@pytest.mark.parametrize("followed", [True, False])
def test_attention_that_goes_with_an_object_has_not_moved(tmp_path, followed):
    names = ("car 1", "car 2", "car 3")
    header = Header(
        "Road-v0", TokenLayout((TokenGroup("entities", names),)),
        (MapSpec("actor/0", "actor", 0, 1, "readout"),), ("",), "discrete", (2,), "probabilities",
    )  # fmt: skip
    with RecordingWriter(tmp_path / "road", header) as writer:
        writer.begin_episode(3)
        for row, ids in zip(ROWS, IDS, strict=True):
            places = TokenPlaces(np.zeros((3, 4), np.float32), np.array(ids))
            step = Step(
                observation={"": np.zeros((3, 2), np.float32)},
                action=np.int64(0),
                maps={"actor/0": np.array(row, np.float32)[None, None]},
                attended=any(row),
            )
            writer.add_step(replace(step, places=places if followed else None))
        writer.end_episode()
    (episode,) = open_recording(tmp_path / "road").episodes
    columns = EpisodeColumns(episode, choose_view(header.maps))
    # where nothing was attended to, nothing has moved; it is not even spread over no token
    moved = [0, 0, 0.1, 0, 0] if followed else [0, 0.2, 0.4, 0, 0]
    assert columns["shift"].tolist() == pytest.approx(moved, abs=2 / 255)
    assert np.isnan(columns["spread"]).tolist() == [False, False, False, True, False]


def test_every_word_is_explained():
    for word in (*COLUMNS, "attention", "present", "policy", "previous", "next", "abs"):
        assert f"\n{word} " in f"\n{describe_words()}"


def test_words_of_a_layout_without_categories():
    contents = TokenVocabulary(TokenLayout((TokenGroup("features", ("x0", "x1")),)))
    assert contents.words == ("features", "x0", "x1")
    with pytest.raises(
        ValueError, match=r"no token is called 'key': there are 'features', 'x0', 'x1'$"
    ):
        contents.find_tokens("key")
