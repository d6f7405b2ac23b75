"""Small environments with nothing in them but what a test looks at."""

import gymnasium as gym
import numpy as np
from gymnasium import spaces


class Counter(gym.Env):
    """Observe (100 * episode + step, step); episodes are of the given lengths."""

    observation_space = spaces.Box(0, np.inf, (2,))
    action_space = spaces.Discrete(2)

    def __init__(self, lengths):
        self.lengths, self.episode, self.steps = lengths, 0, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.episode, self.steps = self.episode + 1, 0
        return self.observe(), {}

    def step(self, action):
        self.steps += 1
        over = self.steps >= self.lengths[self.episode - 1]
        return self.observe(), 0.0, over, False, {}

    def observe(self):
        return np.array((100 * self.episode + self.steps, self.steps), np.float32)


class Sampler(gym.Env):
    """Observe samples of any space."""

    def __init__(self, observation_space, action_space=None):
        self.observation_space = observation_space
        self.action_space = spaces.Discrete(2) if action_space is None else action_space
        self.actions = []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        assert self.action_space.contains(action)
        self.actions.append(action)
        return self.observation_space.sample(), 0.0, False, False, {}
