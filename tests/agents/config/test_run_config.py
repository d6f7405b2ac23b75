"""What a person asks for, and what it is settled to."""

from __future__ import annotations

import inspect
import json
import re
from dataclasses import fields
from typing import get_args

import pytest

from attention_agents.agents.algorithms.encoders import encoder_arguments
from attention_agents.agents.config.cli_types import read_normalize, read_pairs
from attention_agents.agents.config.encoder_config import (
    ATTENTION_WORDS,
    OLD_WORDS,
    TOKENS,
    EncoderConfig,
    EncoderOptions,
)
from attention_agents.agents.config.presets import (
    Preset,
    describe_preset,
    find_preset,
    resolve_config,
)
from attention_agents.agents.config.run_config import (
    MOST_ENTITIES,
    PolicyConfig,
    RunConfig,
    TrainConfig,
)
from attention_agents.agents.config.validation import check_choice
from attention_agents.envs.tokens.spaces import MAX_TOKENS, TokenChoice
from attention_agents.envs.wrappers.padding import MAX_ENTITIES
from attention_agents.policies.attention.attention_config import AttentionConfig
from attention_agents.policies.registries import REGISTRIES
from attention_agents.policies.sb3.extractor import AttentionExtractor

RUN = RunConfig(
    env="CartPole-v1",
    algo="ppo",
    n_timesteps=100,
    seed=3,
    n_envs=2,
    encoder=EncoderConfig.from_words(
        tokens={"image": "patches"}, width=32, score="additive", temperature=0.5, top_k=3
    ),
    policy=PolicyConfig(net_arch=(7, 5)),
    hyperparams={"learning_rate": "lin_1e-3", "n_steps": 8},
    plugins=("my_scores", "my_package.readouts"),
)


def test_json_brings_back_an_equal_run():
    assert RunConfig.from_json(json.loads(json.dumps(RUN.to_json()))) == RUN


def test_a_config_without_the_words_of_mechanisms_has_their_defaults():
    values = json.loads(json.dumps(RUN.to_json()))
    sizes = {"tokens": "auto", "layers": 1, "heads": 2, "width": 8, "readout": "mean"}
    values["encoder"] = sizes
    del values["plugins"], values["max_entities"]
    run = RunConfig.from_json(values)
    assert run.encoder == EncoderConfig(layers=1, heads=2, width=8, readout="mean")
    assert encoder_arguments(run.encoder)["attention"] == AttentionConfig()
    assert (run.plugins, run.max_entities) == ((), MAX_ENTITIES)


def test_words_that_a_plugin_may_bring_are_not_refused():
    words = dict.fromkeys(REGISTRIES, "of-my-own")
    assert EncoderConfig.from_words(**words).attention.normalizer == "of-my-own"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"algo": "pppo"}, "unknown algorithm 'pppo'; did you mean 'ppo'?"),
        ({"n_envs": 0}, "n_envs must be a whole number of at least 1, got 0"),
        ({"n_timesteps": -5}, "n_timesteps must be a whole number of at least 1, got -5"),
        ({"seed": True}, "seed must be a whole number of at least 0, got True"),
        ({"vec_env": "dumy"}, "unknown vec_env 'dumy'; did you mean 'dummy'?"),
        ({"noise_std": 0.1}, "noise_std is for sac, td3, tqc, crossq, got algo=ppo"),
        ({"color": 1}, "unknown field of a run's config 'color'"),
        (
            {"encoder": {"width": 10, "heads": 3}},
            "width must be a multiple of heads, got width=10, heads=3",
        ),
        ({"encoder": {"hard_attention": False}}, "hard_attention must be a word, got False"),
        ({"encoder": {"query_source": 3}}, "query_source must be a word, got 3"),
        ({"encoder": {"window": 0}}, "window must be a whole number of at least 1, got 0"),
        ({"encoder": {"temperature": "hot"}}, "temperature must be a number, got 'hot'"),
        ({"encoder": {"scores": "dot"}}, "not the config of a run"),
        ({"max_entities": 0}, "max_entities must be a whole number of at least 1, got 0"),
        ({"max_entities": 1025}, "max_entities must be at most 1024, got 1025"),
        ({"plugins": [3]}, "each of plugins must be a word, got 3"),
        ({"policy": {"net_arch": [0]}}, "every layer of net_arch must be a whole number"),
        ({"policy": 3}, "not the config of a run"),
    ],
)
def test_a_wrong_value_is_named(change, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        RunConfig.from_json(RUN.to_json() | change)


def test_a_missing_field_is_named():
    values = RUN.to_json()
    del values["policy"]
    with pytest.raises(ValueError, match="not the config of a run: 'policy'"):
        RunConfig.from_json(values)


def test_pairs_are_read_as_values_and_never_run():
    words = [
        "gamma:0.98",
        "n_steps:32",
        "rate:1e-3",
        "a:lin_2e-4",
        "net_arch:[7, 5]",
        "continuous:true",
    ]
    assert read_pairs(words) == {
        "gamma": 0.98,
        "n_steps": 32,
        "rate": 1e-3,
        "a": "lin_2e-4",
        "net_arch": [7, 5],
        "continuous": True,
    }
    assert read_pairs(["x:__import__('os')"]) == {"x": "__import__('os')"}
    for word in ("gamma", ":3", "x:[1", "x:!!python/object/apply:os.system [ls]"):
        with pytest.raises(ValueError, match=r"expected key:value|cannot read the value of"):
            read_pairs([word])


def test_a_flag_is_read_and_told_from_a_normalizer():
    assert [read_normalize([word]) for word in ("True", "false")] == [True, False]
    with pytest.raises(ValueError, match=r"expected True or False, got 'softmax'; .*--normalizer$"):
        read_normalize(["softmax"])


def test_a_far_off_name_lists_what_is_known():
    with pytest.raises(ValueError, match=r"unknown fruit 'zzz'; known: apple, pear"):
        check_choice("fruit", "zzz", ["apple", "pear"])


def test_settling_takes_the_preset_then_flags_then_hyperparams():
    plain = resolve_config(TrainConfig(env="CartPole-v1"), "classic")
    tuned = find_preset("CartPole-v1", "classic", "ppo").values
    assert (plain.algo, plain.n_envs) == ("ppo", tuned["n_envs"])
    assert plain.hyperparams.items() <= tuned.items()
    assert plain.eval_freq == plain.n_timesteps // 20

    asked = TrainConfig(
        env="CartPole-v1",
        encoder="pooled",
        n_timesteps=600,
        n_envs=3,
        layers=1,
        width=12,
        heads=3,
        learning_rate="lin_5e-4",
        hyperparams={"gamma": 0.5, "net_arch": [7]},
        save_freq=0,
    )
    run = resolve_config(asked, "classic")
    assert (run.n_timesteps, run.n_envs, run.eval_freq, run.save_freq) == (600, 3, 600, 0)
    assert run.encoder == EncoderConfig(layers=1, heads=3, width=12)
    assert run.policy.net_arch == (7,)
    assert run.hyperparams == {**plain.hyperparams, "learning_rate": "lin_5e-4", "gamma": 0.5}
    assert plain.encoder == EncoderConfig.from_words(kind="gate") and plain.policy.net_arch is None


def test_a_rollout_is_not_longer_than_the_run_and_holds_whole_batches():
    def sizes(**asked):
        sizes = {"n_steps": 1024, "batch_size": 64}
        run = resolve_config(
            TrainConfig(env="x", algo="ppo", n_envs=16, hyperparams=sizes, **asked), "other"
        )
        return run.n_envs * run.hyperparams["n_steps"], run.hyperparams["batch_size"]

    assert sizes(n_timesteps=20_000) == (16 * 1024, 64)
    assert sizes(n_timesteps=1000) == (1024, 64)
    assert sizes(n_timesteps=40) == (48, 48)
    run = resolve_config(TrainConfig(env="Mine-v0", algo="a2c", n_timesteps=3, n_envs=1), "other")
    assert run.hyperparams["n_steps"] == 3


def test_runs_are_evaluated_twenty_times_but_short_ones_less():
    for steps, every in ((100_000, 5000), (5000, 1000), (300, 300)):
        assert resolve_config(TrainConfig(env="x", n_timesteps=steps), "other").eval_freq == every


def test_a_short_run_of_an_off_policy_algorithm_learns_too():
    def starts(n_timesteps):
        asked = TrainConfig(
            env="x", algo="dqn", n_timesteps=n_timesteps, hyperparams={"learning_starts": 100}
        )
        return resolve_config(asked, "other").hyperparams["learning_starts"]

    assert (starts(101), starts(100), starts(7)) == (100, 50, 3)
    assert resolve_config(
        TrainConfig(env="Mine-v0", n_timesteps=9), "other"
    ).hyperparams.keys() == (resolve_config(TrainConfig(env="Mine-v0"), "other").hyperparams.keys())


def test_a_history_is_not_normalized_unless_asked():
    def normalized(**asked):
        run = resolve_config(TrainConfig(env="HalfCheetah-v5", algo="ppo", **asked), "mujoco")
        return run.normalize_obs, run.normalize_reward

    assert normalized() == (True, True)
    assert normalized(history=3) == (False, True)
    assert normalized(history=0) == (True, True)
    assert normalized(history=3, normalize=True) == (True, True)
    assert normalized(history=3, hyperparams={"normalize_obs": True}) == (True, True)


def test_a_preset_is_told_in_a_line():
    entry = Preset("families/classic/ppo", "ppo", {}, None)
    assert describe_preset(entry) == "preset classic/ppo"
    assert describe_preset(entry._replace(reached="-84 at 300k steps")) == (
        "preset classic/ppo: reached -84 at 300k steps"
    )


def test_the_words_are_those_of_the_encoder():
    assert get_args(TokenChoice) == TOKENS
    options = {option.name for option in fields(EncoderOptions)}
    assert set(REGISTRIES) < options
    assert set(ATTENTION_WORDS) < options and set(OLD_WORDS.values()) < options


def test_defaults_are_those_of_the_extractor():
    arguments = encoder_arguments(EncoderConfig(kind="pooled"))
    assert arguments.pop("attention") == AttentionConfig()
    parameters = inspect.signature(AttentionExtractor).parameters
    assert arguments == {name: parameters[name].default for name in arguments}
    assert set(arguments) == set(parameters) - {"observation_space", "attention", "old_arguments"}
    assert TrainConfig().max_entities == MAX_ENTITIES
    assert MOST_ENTITIES == MAX_TOKENS


def test_every_word_of_a_mechanism_reaches_it():
    words = {
        "normalizer": "a",
        "temperature": 2.0,
        "hard_attention": "b",
        "top_k": 3,
        "visibility": "c",
    }
    words |= {"window": 5, "positions": "d", "head_mixing": "e"}
    made = encoder_arguments(
        EncoderConfig.from_words(score="f", block="g", query_source="h", num_queries=7, **words)
    )
    assert made["attention"] == AttentionConfig(score="f", **words)
    assert {each.name for each in fields(AttentionConfig)} == {"score", *words}
    assert (made["block"], made["query_source"], made["num_queries"]) == ("g", "h", 7)


def test_tokens_can_be_chosen_key_by_key():
    run = resolve_config(TrainConfig(env="x", tokens="image:patches, speed:features"), "other")
    assert run.encoder.tokens == {"image": "patches", "speed": "features"}


def test_arguments_of_environments_survive_config_json() -> None:
    env_kwargs = {"config": {"shape": (3, [4, (5,)]), "speeds": {0: 20.0, (1, 2): None}}, "size": 5}
    config = RunConfig(
        env="CartPole-v1", algo="ppo", n_timesteps=8, seed=0, n_envs=1, env_kwargs=env_kwargs
    )
    again = RunConfig.from_json(json.loads(json.dumps(config.to_json())))
    assert again == config and again.env_kwargs == env_kwargs
