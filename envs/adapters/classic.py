"""Classic control: names of features and actions, as Gymnasium documents them.

Source: https://gymnasium.farama.org/environments/classic_control/.
"""

from __future__ import annotations

from envs.adapters.named import NamedAdapter

FEATURES = {
    "CartPole": ("cart position", "cart velocity", "pole angle", "pole angular velocity"),
    "Acrobot": (
        *("cosine 1", "sine 1", "cosine 2", "sine 2"),
        *("angular velocity 1", "angular velocity 2"),
    ),
    "Pendulum": ("cosine", "sine", "angular velocity"),
    "MountainCar": ("position", "velocity"),
    "MountainCarContinuous": ("position", "velocity"),
}

ACTIONS = {
    "CartPole": ("push left", "push right"),
    "Acrobot": ("torque -1", "torque 0", "torque +1"),
    "Pendulum": ("torque",),
    "MountainCar": ("push left", "no push", "push right"),
    "MountainCarContinuous": ("force",),
}

ADAPTER = NamedAdapter(FEATURES, ACTIONS, needs="pygame")
