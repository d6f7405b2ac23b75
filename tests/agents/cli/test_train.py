"""train.py as a person runs it: words in, a folder or an exit code out."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from attention_agents.agents.algorithms.checks import check_config
from attention_agents.agents.cli import train
from attention_agents.agents.cli.command import run_script
from attention_agents.agents.cli.main import main
from attention_agents.agents.cli.options import read_options
from attention_agents.agents.config.run_config import TrainConfig
from attention_agents.agents.runs.checkpoint import load_checkpoint
from attention_agents.agents.runs.run_folder import RunFolder
from attention_agents.agents.training.settle import settle_config
from attention_agents.envs.make import make_env

SCRIPT = Path(__file__).parents[3] / "train.py"
DQN = "--env CartPole-v1 --algo dqn --hyperparams"
POOLED = "--env CartPole-v1 --encoder pooled"
SAC = "--env Pendulum-v1 --algo sac --hyperparams"
MISTAKES = {
    "--env CartPole-v9": "unknown environment 'CartPole-v9'; did you mean CartPole-v1",
    "--env MiniGrid-DorKey-5x5-v0": "did you mean MiniGrid-DoorKey-5x5-v0",
    "--algo pppo": "unknown algorithm 'pppo'; did you mean 'ppo'?",
    "--layrs 3": "unknown option --layrs; did you mean --layers?",
    "--layers two": "--layers: expected INT, got ['two']",
    "--layers": "Missing value for argument '--layers'",
    "CartPole-v1": "unexpected word 'CartPole-v1'; see train.py --help",
    "--env CartPole-v1 --algo sac": "sac cannot act in Discrete(2) of CartPole-v1; use --algo ppo",
    "--env CartPole-v1 --hyperparams gama:0.9": "unknown argument of ppo 'gama'; did you mean",
    "--env CartPole-v1 --hyperparams gamma:hi": "gamma of ppo must be like its default 0.99",
    "--env CartPole-v1 --hyperparams gamma": "expected key:value, got 'gamma'",
    "--env CartPole-v1 --env-kwargs color:1": "CartPole-v1 refused color=1",
    "--env CartPole-v1 --tokens patches": "patches tokens do not fit an observation of shape (4,)",
    "--normalize True": "only feature vectors can be normalized",
    "--learning-rate fast": "learning_rate must be a number or lin_<number>, got 'fast'",
    "--layers 2 --width 10 --heads 3": "width must be a multiple of heads, got width=10, heads=3",
    "-n 0": "n_timesteps must be a whole number of at least 1, got 0",
    "--n-envs -2": "n_envs must be a whole number of at least 1, got -2",
    "--device gpu": "unknown device 'gpu'; did you mean 'cpu'?",
    "--log-folder file": "cannot write into file: ",
    "--env CartPole-v1 --hyperparams batch_size:1": "ppo refused its arguments: `batch_size` must",
    "--env CartPole-v1 --hyperparams clip_range_vf:-1": "`clip_range_vf` must be positive",
    "--env CartPole-v1 --hyperparams learning_rate:-1": "Invalid learning rate: -1",
    "--env CartPole-v1 --hyperparams log_std_init:foo": "log_std_init must be a number, got 'foo'",
    f"{POOLED} --readout ego": "train.py: readout 'ego' needs a token of the agent itself",
    f"{POOLED} --readout qery": "unknown readout 'qery'; did you mean 'query'?",
    f"{POOLED} --attention aditive": "unknown score 'aditive'; did you mean 'additive'?",
    f"{POOLED} --normalizer sparsmax": "unknown normalizer 'sparsmax'; did you mean 'spar",
    f"{POOLED} --hard topk": "unknown hard attention 'topk'; did you mean 'top-k'?",
    f"{POOLED} --block gtrx": "unknown block 'gtrx'; did you mean 'gtrxl'?",
    f"{POOLED} --block gtrxl --layers 1": "block='gtrxl' needs a layer before the readout",
    "--env CartPole-v1 --encoder gat": "unknown encoder 'gat'; did you mean 'gate'?",
    "--env CartPole-v1 --readout mean": "readout=mean would change nothing with encoder='gate'; ",
    "--env CartPole-v1 --encoder stock --heads 2": "heads=2 would change nothing with encoder=",
    f"{POOLED} --sparsity 0.01": "sparsity=0.01 would change nothing with",
    "--env CartPole-v1 --width 32": "width=32 would change nothing with encoder='gate' and la",
    "--env CartPole-v1 --gate flor:0.1": "unknown word of gate 'flor'; did you mean 'floor'?",
    "--env CartPole-v1 --gate floor:2": "floor must be at least 0 and below 1, got 2",
    "--env CartPole-v1 --gate context:0": "context of gate must be like True, got 0",
    "--env CartPole-v1 --sparsity 7": "sparsity must be at most 1, got 7",
    "--env attention/Collect-v0 --encoder gate": "is made of entities; use AttentionExtractor",
    "--env CartPole-v1 --encoder gate --policy-head pointer": "policy_head='pointer' reads single",
    "--env CartPole-v1 --algo trpo --sparsity 0.01": "trpo takes second derivatives, and sp",
    f"{POOLED} --temperature 0": "temperature must be a number above 0, got 0.0",
    "--env CartPole-v1 --temperature hot": "--temperature: expected FLOAT, got ['hot']",
    f"{POOLED} --budget 0": "top_k must be a whole number of at least 1, got 0",
    f"{POOLED} --width 4000000000": "train.py: networks of at least 6.4e+19 weights take ",
    f"{POOLED} --readout queries --points 4000000000": "networks of at least 2.6e+11 weigh",
    f"{POOLED} --layers 1000000 --width 8": "layers must be at most 1000, got 1000000",
    "--env CartPole-v1 --hyperparams net_arch:[4000000000]": "networks of at least 8e+09 weights",
    "--env CartPole-v1 --n-envs 4000000000000": "a rollout of 8,000,000,000,000 steps takes 1280",
    "--env CartPole-v1 --hyperparams gamma:nan": "gamma of hyperparams must be finite numbers or",
    "--env CartPole-v1 --hyperparams gamma:7": "gamma must be 0 to 1, got 7",
    "--env CartPole-v1 --hyperparams normalize_obs:maybe": "normalize_obs must be true or false, ",
    "--env CartPole-v1 --learning-rate inf": "learning_rate of hyperparams must be finite ",
    "--env CartPole-v1 --env-kwargs x:2020-01-01": "x of env_kwargs must be finite numbers or wo",
    "--env CartPole-v1 --env-kwargs render_mode:human": "env_kwargs cannot have a render_mode",
    "--env CartPole-v1 --threads 1000000": "threads must be at most 1024, got 1000000",
    "--env CartPole-v1 --seed 4294967296": "seed must be at most 4294967295, got 4294967296",
    "--env CartPole-v1 --policy-head pointr": "unknown policy head 'pointr'; did you mean 'poin",
    "--env CartPole-v1 --head pointer": "a pointer needs one action per entity, got 2 actions",
    "--env CartPole-v1 --policy-head attention-gru": "policy_head='attention-gru' is for ppo_lstm",
    f"{POOLED} --where sideways": "unknown visibility 'sideways'; known: global, caus",
    f"{POOLED} --readout cross": "readout 'cross' needs a Dict observation with two keys",
    f"{POOLED} --normaliser sigmoid --hard gumbel": "hard_attention='gumbel' draws from s",
    f"{POOLED} --top-k 100 --hard perturbed-top-k": "lower top_k, or use hard_attention=",
    f"{POOLED} --budget 4 --hard top-k": "reads all 4 tokens, as soft attention",
    "--normaliser": "Missing value for argument",
    "--plugins no_such_module": "cannot import the plugin 'no_such_module': there is no module",
    "--plugins my_scores.py": "a plugin is named like a module, such as my_scores, got 'my_scores.",
    "--env CartPole-v1 --max-entities 1000000000": "max_entities must be at most 1024, got 1000000",
    "--env CartPole-v1 --normalize entmax15": "--normalize: expected True or False, got 'entm"
    "ax15'; the word for how scores become weights is --normalizer",
    "--env MiniGrid-DoorKey-5x5-v0 --tokens vie:cells": "tokens names unknown keys ['vie']; did "
    "you mean 'view'? The observation has ['direction', 'view']",
    "--env CartPole-v1 --max-entities 0": "max_entities must be a whole number of at least 1, got",
    "--env CartPole-v1 --device cpu:x": "there is no device 'cpu:x': Invalid device string",
    f"{DQN} log_std_init:-1": "log_std_init is for ppo, a2c, sac, trpo, ppo_lstm, tqc, crossq, got",
    f"{DQN} share_features_extractor:true": "share_features_extractor is for ppo, a2c, sac, td3, ",
    f"{DQN} train_freq:[1]": "train_freq must be like 4, [4, step] or [1, episode], got [1]",
    f"{DQN} train_freq:0": "train_freq must be like 4, [4, step] or [1, episode], got 0",
    f"{DQN} train_freq:[1,episode] --n-envs 2": "train_freq in episodes needs n_envs=1, got n_envs",
    f"{DQN} buffer_size:10000000000000": "replay buffer of 10,000,000,000,000 steps takes 320000.0",
    f"{SAC} ent_coef:auto_0": "sac refused its arguments: The initial value of ent_coef must be",
    f"{SAC} noise_std:-1": "noise_std must be at least 0, got -1",
    f"{SAC} noise_std:foo": "noise_std must be a number, got 'foo'",
    "--env HalfCheetah-v5 --history 3 --normalize True": "only feature vectors can be normalized",
}


def train_py(words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *words.split()]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


def assert_refused(code: object, out: str, err: str, text: str) -> None:
    assert code == 2, err
    assert out == ""
    lines = err.splitlines()
    assert 1 <= len(lines) <= 3 and lines[0].startswith("train.py: "), err
    assert text in err


@pytest.mark.parametrize("words", MISTAKES)
def test_a_mistake_gets_a_few_lines_and_exit_code_2_and_leaves_nothing(
    words, tmp_path, monkeypatch, capsys
):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train.py", *words.split()])
    with pytest.raises(SystemExit) as stopped:
        main("train")
    assert_refused(stopped.value.code, *capsys.readouterr(), MISTAKES[words])
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    "words", ["--layrs 3", "--env MiniGrid-DorKey-5x5-v0", "--layers 2 --width 10 --heads 3"]
)
def test_a_process_refuses_like_that_too(words, tmp_path):
    ended = train_py(words, tmp_path)
    assert_refused(ended.returncode, ended.stdout, ended.stderr, MISTAKES[words])
    assert not list(tmp_path.iterdir())


CROWD = """
import gymnasium as gym


class Crowd(gym.Env):
    observation_space = gym.spaces.Sequence(gym.spaces.Box(-1, 1, (3,)))
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        return (self.observation_space.feature_space.sample(),) * 14, {}


gym.register("Crowd-v0", Crowd)
"""


def test_more_entities_than_there_is_room_for_are_a_mistake_too(tmp_path):
    (tmp_path / "crowd.py").write_text(CROWD)
    ended = train_py("--env crowd:Crowd-v0 --max-entities 5 --no-progress", tmp_path)
    text = "holds 14 entities (entity), and there is room for 5; train with --max-entities 14 or "
    assert_refused(ended.returncode, ended.stdout, ended.stderr, text)
    assert len(ended.stderr.splitlines()) == 1


def test_more_than_the_memory_holds_is_a_mistake_too(capsys):
    def verb(config):
        raise MemoryError("Unable to allocate 59.6 GiB")

    with pytest.raises(SystemExit) as stopped:
        run_script(verb, TrainConfig, [])
    assert stopped.value.code == 2
    assert "has not enough memory for that: Unable to allocate 59.6 GiB" in capsys.readouterr().err


def test_help_is_quick_and_complete(tmp_path):
    start = time.perf_counter()
    ended = train_py("--help", tmp_path)
    assert ended.returncode == 0
    for option in (
        "--env",
        "--algo",
        "-n",
        "--tokens",
        "--readout",
        "--hyperparams",
        "--log-folder",
        "--plugins",
        "--normalizer",
        "--max-entities",
        "encoder options",
        "  --policy-head    mlp  ",
        "  --score          scaled-dot-product  q.k / sqrt(K)",
        "python train.py --env CartPole-v1",
    ):
        assert option in ended.stdout
    loaded = subprocess.run(
        [sys.executable, "-X", "importtime", str(SCRIPT), "--help"], capture_output=True, text=True
    ).stderr
    heavy = [name for name in ("torch", "gymnasium", "stable_baselines3") if f" {name}\n" in loaded]
    assert not heavy
    assert time.perf_counter() - start < 20  # a bound for a busy machine; idle it takes 0.3 seconds


EXAMPLES = re.findall(r"^  \{train\}(.*?)(?:   .*)?$", train.EXAMPLES, re.MULTILINE)


@pytest.mark.parametrize("words", [words for words in EXAMPLES if "my_" not in words])
def test_the_examples_of_help_can_be_trained(words):
    asked = read_options(TrainConfig, words.split(), "train.py")
    config = settle_config(asked)
    env = make_env(config.env, history=config.history, env_kwargs=dict(config.env_kwargs))
    check_config(config, env)
    env.close()


def test_a_run_ends_with_its_folder(tmp_path):
    ended = train_py("--env CartPole-v1 -n 64 --eval-episodes 1 --hyperparams n_epochs:1", tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "runs/ppo/CartPole-v1_1\n"
    assert "preset CartPole-v1/ppo" in ended.stderr.splitlines()[0]
    assert "64/64 steps" in ended.stderr
    assert load_checkpoint(tmp_path / "runs/ppo/CartPole-v1_1/final").model.num_timesteps == 64


@pytest.mark.parametrize("vec_env", ["dummy", "subproc"])
def test_ctrl_c_saves_and_says_so(vec_env, tmp_path):
    words = "--env CartPole-v1 -n 1000000 --eval-freq 0 --save-freq 64 --hyperparams n_epochs:1"
    words += f" --n-envs 2 --vec-env {vec_env}"
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), *words.split()],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    folder = tmp_path / "runs/ppo/CartPole-v1_1"
    for _ in range(600):
        if (folder / "checkpoints").exists() or process.poll() is not None:
            break
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to workers too
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out.splitlines()[-1] == "runs/ppo/CartPole-v1_1"
    steps = load_checkpoint(folder / "final").model.num_timesteps
    assert f"interrupted after {steps:,} steps; saved to runs/ppo/CartPole-v1_1/final" in err
    assert "Traceback" not in err
    assert RunFolder.open(folder).config().n_timesteps == 1_000_000
