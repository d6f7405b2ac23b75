"""Questions to a recording: what words mean, what is answered, and what is refused."""

from __future__ import annotations

import re

import numpy as np
import pytest

from envs.layout import TokenGroup, TokenLayout
from recording import Header, MapSpec, RecordingWriter, Step, open_recording
from recording.columns import Columns
from recording.contents import Contents
from recording.query import LONGEST, explain, matching_steps
from recording.view import choose_view

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
            writer.add(step)
        writer.end_episode()
    (episode,) = open_recording(tmp_path / "recording").episodes
    return Columns(episode, choose_view(header.maps))


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
    "x" * (LONGEST + 1): "at most 500 characters",
    "(" * 60 + "step" + ")" * 60 + "+" + "-" * 40 + "1 > 0": "brackets within brackets",
    "rewrd > 0": "unknown word 'rewrd': did you mean 'reward'?",
    "reward": "is not answered by yes or no",
    "reward and step": "reward is not yes or no",
    "action > 0": "do not compare: one is text, one a number",
    "action == 'pickup'": "unknown action 'pickup': did you mean 'pick up'?",
    "attention > 0": "say of what: attention[key]",
    "attention[kee] > 0": "no token is called 'kee': did you mean 'key'",
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


def test_every_word_is_explained():
    for word in (*Columns.HELP, "attention", "present", "policy", "previous", "next", "abs"):
        assert f"\n{word} " in f"\n{explain()}"


def test_words_of_a_layout_without_categories():
    contents = Contents(TokenLayout((TokenGroup("features", ("x0", "x1")),)))
    assert contents.words == ("features", "x0", "x1")
    with pytest.raises(ValueError, match="no token is called 'key': there are features, x0, x1"):
        contents.find("key")
