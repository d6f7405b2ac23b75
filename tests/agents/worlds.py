"""Small environments for algorithms that heed which actions are valid. Importing registers them."""

import gymnasium as gym
import numpy as np
from gymnasium import spaces


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


for world in (Lanes, Shut, Short):
    gym.register(f"{world.__name__}-v0", world)
