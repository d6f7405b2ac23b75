"""A user's own training script, beside folders and files that are called like rooms of ours.

Trains, records, saves and loads again, with environments in worker processes.
"""

import sys

import gymnasium as gym
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import SubprocVecEnv

import agents
import envs
import evaluate
import policies
import recording
import train
from attention_agents import AttentionExtractor, RecordAttention, open_recording


def main(start_method: str) -> None:
    for module in (agents, envs, evaluate, policies, recording, train):
        assert module.OWNER == "the user", module
    env = make_vec_env(
        envs.make_cartpole,
        n_envs=2,
        vec_env_cls=SubprocVecEnv,
        vec_env_kwargs={"start_method": start_method},
    )
    model = PPO(
        "MlpPolicy",
        env,
        n_steps=16,
        batch_size=16,
        n_epochs=1,
        policy_kwargs={
            "features_extractor_class": AttentionExtractor,
            "features_extractor_kwargs": {"layers": 1, "heads": 2, "width": 8},
        },
    )
    model.learn(64)
    model.save("agent")
    env.close()
    model = PPO.load("agent")
    world = RecordAttention(gym.make("CartPole-v1"), model, "recorded")
    obs, _ = world.reset(seed=1)
    for _ in range(5):
        action, _ = model.predict(obs, deterministic=True)
        obs, *_ = world.step(action)
    world.close()
    (episode,) = open_recording("recorded").episodes
    print(len(episode), "steps with", len(episode[0].maps), "map")


if __name__ == "__main__":
    main(*sys.argv[1:])
