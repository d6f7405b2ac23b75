"""MuJoCo: features named by the model's own joints, actions by its motors."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import mujoco  # noqa: F401  (better missed here than in the middle)

from envs.adapters.adapter import Adapter
from envs.wrappers import NamedFeatures


class MujocoAdapter(Adapter):
    """Observation: positions and velocities of the joints, where these are all that is observed."""

    def adapt(self, env: gym.Env, training: bool) -> gym.Env:
        names = feature_names(env)
        return env if names is None else NamedFeatures(env, names)

    def action_names(self, env: gym.Env) -> tuple[str, ...] | None:
        model: Any = env.get_wrapper_attr("model")
        return tuple(model.actuator(i).name or f"motor {i}" for i in range(model.nu))


def feature_names(env: gym.Env) -> tuple[str, ...] | None:
    """Return the names of positions, then velocities; None where more than these is observed.

    Only models whose joints all turn or slide have one position and one velocity per joint.
    """
    model: Any = env.get_wrapper_attr("model")
    try:
        structure: dict[str, int] = env.get_wrapper_attr("observation_structure")
    except AttributeError:  # before the v5 environments
        return None
    if model.nq != model.njnt:
        return None
    joints = [model.joint(i).name or f"joint {i}" for i in range(model.njnt)]
    names = (
        *(f"{joint} position" for joint in joints[structure["skipped_qpos"] :]),
        *(f"{joint} velocity" for joint in joints),
    )
    return names if env.observation_space.shape == (len(names),) else None


ADAPTER = MujocoAdapter()
