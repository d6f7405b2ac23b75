"""Words of the encoder that a person gave and that nothing uses."""

import json
import re
from dataclasses import asdict, replace

import pytest
import torch

from attention_agents.agents.config import presets as module
from attention_agents.agents.config.catalogue import WORDS
from attention_agents.agents.config.encoder_config import USERS, EncoderConfig, EncoderOptions
from attention_agents.agents.config.presets import presets, settle
from attention_agents.agents.config.run_config import RunConfig, TrainConfig
from attention_agents.envs.tokens.layout import TokenGroup, TokenLayout
from attention_agents.policies.attention import SELECTIONS, WHERES, Mechanism, Site
from attention_agents.policies.blocks import BLOCKS
from attention_agents.policies.encoder import Encoder
from attention_agents.policies.readouts import READOUTS

REFUSED = {
    "budget and no choice": (
        {"budget": 7},
        "budget=7 would change nothing with hard='none'; leave it out, or use one of "
        "hard='top-k', hard='perturbed-top-k'",
    ),
    "the default budget": ({"budget": 4}, "budget=4 would change nothing with hard='none'"),
    "budget and one place": (
        {"budget": 7, "hard": "gumbel"},
        "budget=7 would change nothing with hard='gumbel'",
    ),
    "reach and everywhere": (
        {"reach": 9},
        "reach=9 would change nothing with where='global'; leave it out, or use one of "
        "where='local', where='predicted'",
    ),
    "reach and the past": (
        {"reach": 9, "where": "causal"},
        "reach=9 would change nothing with where='causal'",
    ),
    "points and one query": (
        {"points": 3, "layers": 1},
        "points=3 would change nothing with readout='auto', block='residual'; leave it out, or "
        "use one of readout='queries', readout='slots', block='isab'",
    ),
    "points and a mean": (
        {"points": 3, "readout": "mean", "block": "sab"},
        "points=3 would change nothing with readout='mean', block='sab'",
    ),
    "one head against itself": (
        {"heads": 1, "mix": "weighted"},
        "mix='weighted' weighs heads against each other, and heads=1 has no other; use more",
    ),
}
TAKEN = [
    {"budget": 7, "hard": "top-k"},
    {"budget": 7, "hard": "perturbed-top-k"},
    {"reach": 9, "where": "local"},
    {"reach": 9, "where": "predicted"},
    {"points": 3, "readout": "queries"},
    {"points": 3, "readout": "slots"},
    {"points": 3, "block": "isab"},
    {"points": 3, "readout": "of-a-plugin"},
    {"points": 3, "block": "of-a-plugin"},
    {"budget": 7, "hard": "of-a-plugin"},
    {"reach": 9, "where": "of-a-plugin"},
    {"heads": 1, "mix": "talking"},
    {"heads": 2, "mix": "weighted"},
]


def settled(**words) -> RunConfig:
    return settle(TrainConfig(env="x", algo="ppo", **words), "other")


@pytest.mark.parametrize("case", REFUSED)
def test_what_nothing_uses_is_refused(case):
    words, text = REFUSED[case]
    with pytest.raises(ValueError, match=re.escape(text)):
        settled(**words)


@pytest.mark.parametrize("words", TAKEN)
def test_what_something_uses_is_taken(words):
    encoder = settled(**words).encoder
    assert {name: getattr(encoder, name) for name in words} == words
    assert set(encoder.given) == set(words)


def test_what_a_preset_says_is_never_refused(monkeypatch):
    shelves = presets()
    other = shelves["families"]["other"]
    words = {"budget": 7, "hard": "top-k", "reach": 9, "where": "local", "points": 3}
    words |= {"readout": "slots", "mix": "weighted"}
    changed = {**shelves, "families": {"other": other | {"ppo": other["ppo"] | words}}}
    monkeypatch.setattr(module, "presets", lambda: changed)
    run = settled(hard="none", where="global", readout="mean", heads=1)
    assert (run.encoder.budget, run.encoder.reach, run.encoder.points) == (7, 9, 3)
    assert settled(budget=5).encoder.budget == 5
    with pytest.raises(ValueError, match="budget=5 would change nothing with hard='none'"):
        settled(hard="none", budget=5)


def test_what_was_given_is_kept_and_makes_no_other_encoder():
    run = settled(layers=1, reach=9, where="local")
    assert run.encoder.given == ("layers", "where", "reach")
    assert run.encoder == EncoderConfig(layers=1, where="local", reach=9)
    again = RunConfig.from_json(json.loads(json.dumps(run.to_json())))
    assert again == run and set(again.encoder.given) == set(run.encoder.given)


def test_a_run_from_before_options_were_kept_is_taken():
    values = asdict(EncoderConfig(budget=7, reach=9, points=3, heads=1, mix="weighted"))
    del values["given"]
    assert EncoderConfig(**values).given == ()


def test_given_are_the_options_that_are_not_open():
    assert EncoderOptions().given == () == TrainConfig(env="x", n_timesteps=3).given
    assert EncoderOptions(tokens="cells", budget=0, hard="none").given == ("hard", "budget")


FRAMES = TokenLayout(
    tuple(TokenGroup("cells", tuple("abcdef"), "", (2, 3), offsets=(t,) * 6) for t in (-1, 0))
)
STEPS = TokenLayout((TokenGroup("history", tuple("abcde"), offsets=(-4, -3, -2, -1, 0)),))
PLACE = Site(12, 2, 12, FRAMES, askers=tuple(range(12)))


def of_mechanism(option: str, word: str, number: str, value: int) -> torch.Tensor:
    """Return what a word makes of scores, for one value of a number."""
    torch.manual_seed(0)
    place = replace(PLACE, mechanism=Mechanism(**{option: word, number: value}))
    scores = torch.randn(2, 2, 12, 12)
    if option == "hard":
        return SELECTIONS[word](place)(scores, scores.softmax(-1), None)
    where = WHERES[word](place)
    bias = where(scores[..., :6])
    window = torch.zeros(12, 12) if where.visible is None else where.visible.float()
    return window if bias is None else bias


@pytest.mark.parametrize(("option", "number"), [("hard", "budget"), ("where", "reach")])
def test_users_are_those_that_a_number_changes(option, number):
    for word in WORDS[option]:
        few, many = (of_mechanism(option, word, number, value) for value in (1, 2))
        assert torch.equal(few, many) == (word not in USERS[number][option]), word


def weights(layers: int, points: int, asker: str = "", **words: str) -> int:
    layout = STEPS if words["readout"] in ("present", "augru", "attgru") else FRAMES
    if words["readout"] == "ego":
        layout = TokenLayout((TokenGroup("entities", tuple("abcde"), ego=0),))
    if words["readout"] == "cross":
        layout, asker = (
            TokenLayout((*FRAMES.groups, TokenGroup("features", ("g",), "goal"))),
            "goal",
        )
    place = Site(12, 2, len(layout), layout, points=points, asker=asker)
    encoder = Encoder(place, layers, **words)
    return sum(each.numel() for each in encoder.parameters())


def test_users_of_points_are_those_that_points_change():
    for block in BLOCKS.names:
        counts = [weights(2, points, block=block, readout="query") for points in (2, 3)]
        assert (counts[0] == counts[1]) == (block not in USERS["points"]["block"]), block
    for readout in READOUTS.names:
        counts = [weights(1, points, block="residual", readout=readout) for points in (2, 3)]
        assert (counts[0] == counts[1]) == (readout not in USERS["points"]["readout"]), readout
