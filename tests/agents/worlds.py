"""Small environments, most of which say which actions are valid. Importing registers them."""

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from attention_agents.envs.tokens.spaces import Entities, TokenBox


class Lanes(gym.Env):
    """Step onto open lanes; it is a fault of the test when an action is not valid."""

    observation_space = spaces.Box(-5, 5, (3,))
    metadata = {"render_modes": []}

    def __init__(self, actions="discrete"):
        self.kind = actions
        self.action_space = {
            "discrete": spaces.Discrete(5),
            "multi": spaces.MultiDiscrete([3, 2]),
            "bits": spaces.MultiBinary(3),
        }[actions]

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = int(self.np_random.integers(3, 9))
        self.open = self._opened()
        return self._observed(), {}

    def step(self, action):
        assert self._fits(np.atleast_1d(action)), f"{action} is not valid among {self.open}"
        self.left -= 1
        self.open = self._opened()
        return self._observed(), float(np.sum(action)), self.left == 0, False, {}

    def action_masks(self):
        return np.concatenate(self.open)

    def _opened(self):
        sizes = {"discrete": (5,), "multi": (3, 2), "bits": (2, 2, 2)}[self.kind]
        masks = [self.np_random.random(size) < 0.4 for size in sizes]
        for mask in masks:
            mask[int(self.np_random.integers(len(mask)))] = True
        return masks

    def _fits(self, action):
        return all(mask[int(each)] for mask, each in zip(self.open, action, strict=True))

    def _observed(self):
        return self.np_random.normal(size=3).astype(np.float32)


class Shut(Lanes):
    """Every lane is shut."""

    def action_masks(self):
        return np.zeros(5, bool)


class Short(Lanes):
    """Tells of too few lanes."""

    def action_masks(self):
        return np.ones(4, bool)


class Herd(gym.Env):
    """Five entities, and fewer actions than entities."""

    observation_space = TokenBox(-1, 1, (5, 2), tokens=Entities(5, ("presence", "x"), presence=0))
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.ones((5, 2), np.float32), {}

    def step(self, action):
        return np.ones((5, 2), np.float32), 0.0, True, False, {}


for world in (Lanes, Shut, Short, Herd):
    gym.register(f"{world.__name__}-v0", world)
