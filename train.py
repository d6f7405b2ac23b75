"""Train an attention agent on a Gymnasium environment."""

import sys

from attention_agents.agents.cli import run_verb
from attention_agents.agents.config.plugins import words_for_help
from attention_agents.agents.config.run_config import TrainConfig

EXAMPLES = """
examples:
  python train.py                                        MiniGrid DoorKey with its preset
  python train.py --env CartPole-v1 --algo dqn --seed 1
  python train.py --env HalfCheetah-v5 --history 8       attend to the last 8 steps
  python train.py --env CarRacing-v3 --n-envs 8 --vec-env subproc
  python train.py --env MinAtar/Breakout-v1 -n 200000 --layers 1 --heads 2 --hyperparams gamma:0.95
  python train.py --env my_module:MyEnv-v0 --env-kwargs size:7
  python train.py --attention additive --normaliser sparsemax --layers 2 --block gtrxl
  python train.py --env attention/Collect-v0 --algo ppo_mask --head pointer
  python train.py --env attention/CueRecall-v0 --algo ppo_lstm --head attention-gru
  python train.py --plugins my_scores --attention my-score

Then: python evaluate.py <run folder>, python replay.py <run folder>
"""


def main(config: TrainConfig) -> None:
    from attention_agents.agents.training.train import TrainingInterrupted, train

    try:
        print(train(config))
    except TrainingInterrupted as stop:
        print(stop.folder)
        raise


if __name__ == "__main__":
    run_verb(main, TrainConfig, examples=words_for_help(sys.argv[1:]) + EXAMPLES)
