"""Record every k-th episode while Stable-Baselines3 trains, and see the attention change."""

import argparse

import numpy as np
from stable_baselines3 import DQN

from attention_agents import AttentionExtractor, AttentionRecorderCallback, open_recording


def main(timesteps: int, folder: str) -> None:
    model = DQN(
        "MlpPolicy",
        "CartPole-v1",
        policy_kwargs={"features_extractor_class": AttentionExtractor},
        learning_starts=100,
        device="cpu",
        seed=0,
    )
    callback = AttentionRecorderCallback(f"{folder}/recording", every_episodes=20)
    model.learn(timesteps, callback=callback)

    recording = open_recording(f"{folder}/recording")
    name = recording.header.maps[-1].name  # the readout of the last layer
    print("episode", *recording.header.layout.names)
    for number, episode in enumerate(recording.episodes):
        seen = [step.maps[name].mean((0, 1)) for step in episode if step.attended]
        if seen:  # before learning_starts, and when exploring, no policy is asked
            print(20 * number, *(f"{weight:.2f}" for weight in np.mean(seen, axis=0)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--timesteps", type=int, default=20_000)
    parser.add_argument("--folder", default=".")
    arguments = parser.parse_args()
    main(arguments.timesteps, arguments.folder)
