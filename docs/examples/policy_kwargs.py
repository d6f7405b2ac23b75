"""Attention in stock Stable-Baselines3: one entry in `policy_kwargs`, nothing else changes."""

import argparse

from stable_baselines3 import PPO

from attention_agents import AttentionExtractor
from attention_agents.policies.inspect.tap import AttentionTap


def main(timesteps: int) -> None:
    model = PPO(
        "MlpPolicy",
        "CartPole-v1",
        policy_kwargs={
            "features_extractor_class": AttentionExtractor,
            "features_extractor_kwargs": {"layers": 2, "heads": 2, "width": 32},
            "net_arch": [32],
        },
        device="cpu",
        seed=0,
    )
    model.learn(timesteps)

    # What did it look at? Listen to one pass; the action is the same with and without.
    obs = model.get_env().reset()
    with AttentionTap(model.policy) as tap:
        model.predict(obs, deterministic=True)
        seen = tap.take()
    readout = seen.maps[-1].weights[0].mean(0)[0]  # the last layer's, mean over heads: (N,)
    names = model.policy.features_extractor.layout.names
    for name, weight in zip(names, readout, strict=True):
        print(f"{name} {weight:.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--timesteps", type=int, default=20_000)
    main(parser.parse_args().timesteps)
