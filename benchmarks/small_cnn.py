"""The control: stock PPO with a small convolutional network in place of attention.

Everything else is equal: environments, hyperparameters, policy and value heads, seeds, number of
parameters (to 3%), and the evaluation that follows.
"""

from __future__ import annotations

import torch
from gymnasium import spaces
from jaxtyping import Float
from stable_baselines3 import PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor, nn

from attention_agents.agents.algorithms.build import (
    build_model,
    constructor_arguments,
    make_vec_env,
)
from attention_agents.agents.config.run_config import RunConfig
from attention_agents.agents.training.train import torch_settings


class SmallCNN(BaseFeaturesExtractor):
    """One convolution of 16 filters and one dense layer, over (rows, cols, planes) of 0 and 1.

    Source: Young and Tian 2019, MinAtar, section 4, https://arxiv.org/abs/1903.03176. Differs: the
        dense layer has `features_dim` units instead of 128.
    """

    def __init__(self, observation_space: spaces.Box, features_dim: int = 128):
        super().__init__(observation_space, features_dim)
        rows, cols, planes = observation_space.shape
        self.network = nn.Sequential(
            nn.Conv2d(planes, 16, kernel_size=3),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(16 * (rows - 2) * (cols - 2), features_dim),
            nn.ReLU(),
        )

    def forward(self, observations: Float[Tensor, "B rows cols planes"]) -> Float[Tensor, "B F"]:
        return self.network(observations.permute(0, 3, 1, 2))


def build_control(config: RunConfig, env: VecEnv) -> PPO:
    """Return stock PPO with a `SmallCNN` of as many parameters as the attention agent of a run."""
    wanted = parameters(build_model(config, env))
    few, many = (parameters(_control(config, env, features)) for features in (1, 2))
    return _control(config, env, round(1 + (wanted - few) / (many - few)))


def train_control(config: RunConfig, callbacks: list[BaseCallback]) -> PPO:
    """Train the control of a run, and return it."""
    with torch_settings(config.threads):
        env = make_vec_env(config)
        try:
            return build_control(config, env).learn(config.n_timesteps, callback=callbacks)
        finally:
            env.close()


def parameters(model: BaseAlgorithm) -> int:
    """Return how many numbers a policy learns."""
    return sum(parameter.numel() for parameter in model.policy.parameters())


def _control(config: RunConfig, env: VecEnv, features_dim: int) -> PPO:
    arguments = constructor_arguments(config, env.observation_space, env.action_space)
    arguments["policy_kwargs"] |= {
        "features_extractor_class": SmallCNN,
        "features_extractor_kwargs": {"features_dim": features_dim},
    }
    torch.manual_seed(config.seed)
    return PPO(env=env, seed=config.seed, device=config.device, **arguments)
