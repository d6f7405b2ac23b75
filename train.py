"""Train an attention agent on a Gymnasium environment."""

from agents.cli import run_verb
from agents.config import TrainConfig


def main(config: TrainConfig) -> None:
    from agents.training import TrainingInterrupted, train

    try:
        print(train(config))
    except TrainingInterrupted as stop:
        print(stop.folder)
        raise


if __name__ == "__main__":
    run_verb(main, TrainConfig)
