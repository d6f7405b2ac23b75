"""MuJoCo films what runs away."""

import numpy as np
import pytest

pytest.importorskip("mujoco")

from attention_agents.envs.headless import mujoco_can_draw, prepare_headless
from attention_agents.envs.make import make_env


def test_the_camera_follows_the_cheetah():
    prepare_headless()
    if not mujoco_can_draw():
        pytest.skip("neither EGL nor OSMesa can draw here")
    env = make_env("HalfCheetah-v5", render_mode="rgb_array")
    env.reset(seed=0)
    near = env.render().astype(int)
    world = env.unwrapped
    position = world.data.qpos.copy()
    position[0] += 31.0
    world.set_state(position, world.data.qvel.copy())
    far = env.render().astype(int)
    env.close()
    for frame in (near, far):
        skin = (frame[..., 0] - frame[..., 2] > 40).sum()  # the floor has no red to spare
        assert skin > 500
    assert np.abs(near - far).sum() > 0
