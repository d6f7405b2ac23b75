"""Record what a policy attends to in a loop of your own, then draw it, with no model at hand."""

import argparse

from stable_baselines3 import PPO

from attention_agents import AttentionExtractor, RecordAttention, make_env, open_recording
from attention_agents.recording.rendering.overlay import compose


def main(timesteps: int, folder: str) -> None:
    env_id = "MiniGrid-Empty-5x5-v0"
    kwargs = {"features_extractor_class": AttentionExtractor}
    model = PPO("MultiInputPolicy", make_env(env_id), policy_kwargs=kwargs, device="cpu", seed=0)
    model.learn(timesteps)

    env = RecordAttention(make_env(env_id, render_mode="rgb_array"), model, f"{folder}/recording")
    obs, _ = env.reset(seed=7)
    done = False
    while not done:
        action, _ = model.predict(obs)
        obs, _, terminated, truncated, _ = env.step(action)
        done = terminated or truncated
    env.close()

    recording = open_recording(f"{folder}/recording")
    episode = recording.episodes[0]
    print(f"{len(episode)} steps of {recording.header.env_id}")
    compose(episode[0], recording.header).save(f"{folder}/first_step.png")
    print(f"{folder}/first_step.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--timesteps", type=int, default=20_000)
    parser.add_argument("--folder", default=".")
    arguments = parser.parse_args()
    main(arguments.timesteps, arguments.folder)
