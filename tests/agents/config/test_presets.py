"""Every line of presets.yml can be trained with."""

from __future__ import annotations

from typing import Any

import pytest

from attention_agents.agents.algorithms.hyperparameters import check_hyperparams
from attention_agents.agents.config import presets as module
from attention_agents.agents.config.algorithms import ALGORITHMS
from attention_agents.agents.config.encoder_config import KINDS, SIZES, EncoderConfig
from attention_agents.agents.config.presets import (
    ENCODER_WORDS,
    OBSERVATIONS,
    all_presets,
    default_algorithm,
    find_preset,
    load_presets,
    resolve_config,
)
from attention_agents.agents.config.run_config import TrainConfig
from attention_agents.envs.families import family_name

ENTRIES = [(kind, entry) for kind in KINDS for entry in all_presets(kind)]


@pytest.mark.parametrize(("kind", "entry"), ENTRIES, ids=[f"{k} {e.path}" for k, e in ENTRIES])
def test_every_word_of_an_entry_is_known(kind, entry):
    shelf, name, algo = entry.path.split("/")
    env, family = (name, "other") if shelf == "environments" else ("NoSuchEnvironment-v0", name)
    run = resolve_config(TrainConfig(env=env, algo=algo, encoder=kind), family)
    check_hyperparams(run)
    assert run.encoder.kind == kind and run.encoder.given == ()
    assert find_preset(env, family, algo, kind) == entry


def test_every_group_holds_algorithms_and_a_default_that_it_has():
    for shelf in ("families", "environments"):
        for name, group in load_presets()[shelf].items():
            assert set(group) <= {*ALGORITHMS, "default"}, name
            assert group.get("default", "ppo") in group, name
    assert set(load_presets()["families"]["other"]) == {*ALGORITHMS, "default"}


@pytest.mark.parametrize(
    ("env", "algo"),
    [
        ("CarRacing-v3", "sac"),
        ("CarRacing-v3", "td3"),
        ("CarRacing-v3", "dqn"),
        ("CarRacing-v3", "qrdqn"),
        ("CarRacing-v3", "tqc"),
        ("CarRacing-v3", "crossq"),
        ("ALE/Pong-v5", "dqn"),
        ("ALE/Pong-v5", "qrdqn"),
    ],
)
def test_a_buffer_of_pictures_stays_below_2_gb(env, algo):
    run = resolve_config(TrainConfig(env=env, algo=algo), family_name(env))
    picture = 96 * 96 * 3 if env == "CarRacing-v3" else 4 * 84 * 84
    assert run.hyperparams["buffer_size"] * 2 * picture < 2e9


def test_the_nearest_entry_wins():
    assert find_preset("CartPole-v1", "classic", "ppo").path == "environments/CartPole-v1/ppo"
    assert find_preset("CartPole-v0", "classic", "ppo").path == "environments/CartPole-v1/ppo"
    assert find_preset("module:CartPole-v1", "other", "ppo").path == "environments/CartPole-v1/ppo"
    assert find_preset("CartPole-v1", "classic", "sac").path == "families/classic/sac"
    assert find_preset("Mine-v0", "minigrid", "sac").path == "families/other/sac"
    assert find_preset("Mine-v0", "no such family", "td3").path == "families/other/td3"


def test_a_preset_can_say_every_word_of_the_encoder_and_an_option_goes_before(monkeypatch):
    words = {"layers": 3, "heads": 2, "width": 20, "block": "gtrxl", "readout": "slots"}
    words |= {
        "num_queries": 5,
        "query_source": "goal",
        "score": "additive",
        "normalizer": "sparsemax",
    }
    words |= {
        "temperature": 0.5,
        "hard_attention": "top-k",
        "top_k": 7,
        "visibility": "local",
        "window": 3,
    }
    words |= {"positions": "relative", "head_mixing": "talking"}
    assert {*words, "given", "gate", "sparsity"} == set(ENCODER_WORDS)
    shelves = load_presets()
    other = shelves["families"]["other"]
    ppo = other["ppo"] | {"pooled": words}
    changed = {**shelves, "families": {"other": other | {"ppo": ppo}}}
    monkeypatch.setattr(module, "load_presets", lambda: changed)
    asked: dict[str, Any] = {"env": "x", "algo": "ppo", "encoder": "pooled"}
    run = resolve_config(TrainConfig(**asked), "other")
    assert run.encoder == EncoderConfig.from_words(**words)
    for word, value in words.items():
        other_value = 10 if isinstance(value, (int, float)) else "other"
        run = resolve_config(TrainConfig(**asked, **{word: other_value}), "other")
        assert run.encoder == EncoderConfig.from_words(**(words | {word: other_value}))


def test_default_algorithms():
    assert default_algorithm("Pendulum-v1", family_name("Pendulum-v1")) == "sac"
    assert default_algorithm("CartPole-v1", family_name("CartPole-v1")) == "ppo"
    assert default_algorithm("Mine-v0", "other") == "ppo"


def test_the_families_of_the_presets_are_those_of_the_environments():
    ids = {
        "classic": "CartPole-v1",
        "box2d": "LunarLander-v3",
        "minigrid": "MiniGrid-DoorKey-5x5-v0",
        "minatar": "MinAtar/Breakout-v1",
        "atari": "ALE/Pong-v5",
        "highway": "highway-fast-v0",
        "mujoco": "HalfCheetah-v5",
        "other": "Mine-v0",
    }
    assert set(ids) == set(load_presets()["families"])
    assert {family: family_name(env_id) for family, env_id in ids.items()} == {f: f for f in ids}


def test_words_of_an_encoder_go_before_the_rest_of_an_entry():
    """The tuned attention of version 0.1 is there with --encoder pooled, and its score."""
    gate, pooled, stock = (find_preset("CartPole-v1", "classic", "ppo", kind) for kind in KINDS)
    assert pooled.reached == "500.0 at 100k steps, 3 seeds"
    assert (pooled.values["layers"], pooled.values["net_arch"]) == (1, [64])
    assert stock == gate and gate.reached is None and "net_arch" not in gate.values
    both = [find_preset("MinAtar/Breakout-v1", "minatar", "ppo", kind).values for kind in KINDS]
    assert [values["n_envs"] for values in both] == [64, 8, 64]


@pytest.mark.parametrize("observation", OBSERVATIONS)
def test_every_family_of_observations_has_three_encoders(observation):
    sizes = load_presets()["encoders"][observation]
    assert tuple(sizes) == SIZES
    runs = [
        resolve_config(TrainConfig(env="x", algo="ppo", encoder=size), "other", observation)
        for size in SIZES
    ]
    kind = "pooled" if observation == "entities" else "gate"
    assert {run.encoder.kind for run in runs} == {kind}
    assert all(
        run.encoder.option(k) == v
        for run, size in zip(runs, SIZES, strict=True)
        for k, v in sizes[size].items()
    )
    assert runs[-1].encoder.layers > 1, "the large one has a self-attention block"


@pytest.mark.parametrize(
    ("asked", "observation", "kind"),
    [
        ({}, "numbers", "gate"),
        ({}, "entities", "pooled"),
        ({"policy_head": "pointer"}, "numbers", "pooled"),
        ({"encoder": "stock"}, "entities", "stock"),
        ({"encoder": "gate"}, "entities", "gate"),
        ({"encoder": "pooled"}, "pictures", "pooled"),
    ],
)
def test_the_encoder_follows_what_is_observed_unless_it_is_named(asked, observation, kind):
    run = resolve_config(TrainConfig(env="x", algo="ppo", **asked), "other", observation)
    assert run.encoder.kind == kind
