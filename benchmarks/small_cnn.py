"""The network of MinAtar's authors, as a features extractor for Stable-Baselines3."""

from __future__ import annotations

from gymnasium import spaces
from jaxtyping import Float
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn


class SmallCNN(BaseFeaturesExtractor):
    """One convolution of 16 filters and one dense layer, over (rows, cols, planes) of 0 and 1.

    Source: Young and Tian 2019, MinAtar, section 4, https://arxiv.org/abs/1903.03176.
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
