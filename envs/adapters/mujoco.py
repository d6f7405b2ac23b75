"""MuJoCo: features named by the model's joints, actions by its motors."""

from __future__ import annotations

import warnings
from typing import Any

import gymnasium as gym
import mujoco

from attention_agents.envs.adapters.adapter import Adapter
from attention_agents.envs.families import MissingExtraError
from attention_agents.envs.headless import mujoco_can_draw
from attention_agents.envs.wrappers.plain_spaces import NamedFeatures


class MujocoAdapter(Adapter):
    """Observation: positions and velocities of the joints, where these are all that is observed."""

    def register_envs(self) -> None:
        """Turn MuJoCo's warnings into Python's, where no handler is set: it would write a file."""
        binding: Any = mujoco
        if binding.get_mju_user_warning() is None:
            binding.set_mju_user_warning(_warn)

    def wrap_env(self, env: gym.Env, training: bool) -> gym.Env:
        if env.render_mode is not None and not mujoco_can_draw():
            raise MissingExtraError(
                "MuJoCo cannot draw without a display: install EGL or OSMesa, as "
                "`apt-get install libegl1` or `apt-get install libosmesa6` do on Debian and Ubuntu"
            )
        if env.render_mode is not None:
            use_tracking_camera(env)
        names = feature_names(env)
        return env if names is None else NamedFeatures(env, names)

    def action_names(self, env: gym.Env) -> tuple[str, ...] | None:
        model: Any = env.get_wrapper_attr("model")
        return tuple(model.actuator(i).name or f"motor {i}" for i in range(model.nu))


def use_tracking_camera(env: gym.Env) -> None:
    """Film with the model's "track" camera, where Gymnasium's would stay behind.

    Gymnasium 1.4 films HalfCheetah and Swimmer with a camera that does not move, and they leave
    the picture. A camera that the caller asked for stays.
    """
    world: Any = env.unwrapped
    has_camera = world.spec is not None and any("camera" in name for name in world.spec.kwargs)
    renderer = world.mujoco_renderer
    if has_camera or "trackbodyid" in (renderer.default_cam_config or {}):
        return
    binding: Any = mujoco
    track = binding.mj_name2id(world.model, binding.mjtObj.mjOBJ_CAMERA, "track")
    if track >= 0:
        renderer.camera_id = track


def _warn(text: str) -> None:
    if "deprecated" not in text:  # in Gymnasium's models, which the caller cannot change
        warnings.warn(f"MuJoCo: {text}", stacklevel=2)


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
