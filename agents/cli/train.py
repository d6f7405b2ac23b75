"""`train`: train an attention agent on a Gymnasium environment."""

from __future__ import annotations

from collections.abc import Sequence

from attention_agents.agents.cli.command import Command, Verb
from attention_agents.agents.config.plugins import words_for_help
from attention_agents.agents.config.run_config import TrainConfig

EXAMPLES = """
examples:
  {train}                                        MiniGrid DoorKey with its preset
  {train} --env CartPole-v1 --algo dqn --seed 1
  {train} --env HalfCheetah-v5 --history 8       attend to the last 8 steps
  {train} --env CarRacing-v3 --n-envs 8 --vec-env subproc
  {train} --env MinAtar/Breakout-v1 -n 200000 --heads 2 --hyperparams gamma:0.95
  {train} --env CartPole-v1 --encoder stock      SB3's own network, to compare with
  {train} --env my_module:MyEnv-v0 --env-kwargs size:7
  {train} --encoder pooled --layers 2 --block gtrxl --normalizer sparsemax
  {train} --env attention/Collect-v0 --algo ppo_mask --policy-head pointer
  {train} --env attention/CueRecall-v0 --algo ppo_lstm --policy-head attention-gru
  {train} --encoder pooled --plugins my_scores --score my-score

Then: {evaluate} <run folder>, {replay} <run folder>
"""


def run_train(config: TrainConfig) -> None:
    """Train, and print the run folder."""
    from attention_agents.agents.training.train import TrainingInterrupted, train

    try:
        print(train(config))
    except TrainingInterrupted as stop:
        print(stop.folder)
        raise


def help_epilog(words: Sequence[str]) -> str:
    return words_for_help(words) + EXAMPLES


TRAIN = Command(
    "train",
    {"": Verb(TrainConfig, run_train, help_epilog)},
    "Train an attention agent on a Gymnasium environment.",
)
