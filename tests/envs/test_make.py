"""Making environments: names, families, wrappers, errors, and what a seed determines."""

import functools
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3.common.env_checker import check_env

from attention_agents.envs.families import MissingExtraError, family_name
from attention_agents.envs.make import action_names, make_env
from attention_agents.envs.tokens.spaces import TokenBox
from attention_agents.envs.tokens.specs import Cells, Features, Patches

ROOT = Path(__file__).parents[2]

NEEDS = {
    "minigrid": "minigrid",
    "minatar": "minatar",
    "atari": "ale_py",
    "highway": "highway_env",
    "box2d": "Box2D",
    "mujoco": "mujoco",
}

IDS = {
    "CartPole-v1": "classic",
    "Pendulum-v1": "classic",
    "LunarLander-v3": "box2d",
    "MiniGrid-DoorKey-5x5-v0": "minigrid",
    "MinAtar/Breakout-v1": "minatar",
    "MinAtar/Asterix-v1": "minatar",
    "MinAtar/Freeway-v1": "minatar",
    "MinAtar/Seaquest-v1": "minatar",
    "MinAtar/SpaceInvaders-v1": "minatar",
    "ALE/Breakout-v5": "atari",
    "highway-fast-v0": "highway",
    "intersection-v2": "highway",
    "HalfCheetah-v5": "mujoco",
    "Blackjack-v1": "other",
}

WORLD = """
import gymnasium as gym
from gymnasium import spaces


class Maze(gym.Env):
    metadata = {"render_modes": []}
    observation_space = spaces.Discrete(5)
    action_space = spaces.Discrete(3, start=2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return 4, {}

    def step(self, action):
        assert action in (2, 3, 4)
        return 0, float(action), False, False, {}


gym.register("Maze-v0", Maze)
gym.register("Talker-v0", type("Talker", (Maze,), {"observation_space": spaces.Text(9)}))
gym.register("Handful-v0", type("Handful", (Maze,), {"action_space": spaces.Dict({})}))
"""


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    (tmp_path / "own_world.py").write_text(WORLD)
    monkeypatch.syspath_prepend(tmp_path)
    yield "own_world"
    sys.modules.pop("own_world", None)
    for name in ("Maze-v0", "Talker-v0", "Handful-v0"):
        gym.registry.pop(name, None)


def make_or_skip(env_id, **kwargs):
    family = family_name(env_id)
    if family in NEEDS:
        pytest.importorskip(NEEDS[family])
    return make_env(env_id, **kwargs)


@functools.cache
def mujoco_draws():
    """Say whether MuJoCo can draw here: only then a driver stands behind EGL or OSMesa."""
    code = (
        "from attention_agents.envs.headless import prepare_headless; prepare_headless();"
        "import mujoco; mujoco.GLContext(8, 8).make_current()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True)
    return done.returncode == 0


def leaves(obs):
    return list(obs.values()) if isinstance(obs, dict) else [obs]


@pytest.mark.parametrize("env_id", IDS)
def test_family_is_the_same_before_and_after_registration(env_id):
    assert family_name(env_id) == IDS[env_id]
    make_or_skip(env_id).close()
    assert family_name(env_id) == IDS[env_id]


@pytest.mark.parametrize("env_id", [*IDS, "CarRacing-v3"])
def test_stable_baselines_takes_every_family(env_id):
    env = make_or_skip(env_id)
    check_env(env, warn=False, skip_render_check=True)
    obs, _ = env.reset(seed=0)
    assert env.observation_space.contains(obs)
    assert all(part.dtype != np.float64 for part in map(np.asarray, leaves(obs)))


@pytest.mark.parametrize(
    ("env_id", "training"),
    [
        *((env_id, False) for env_id in (*IDS, "BabyAI-GoToSeqS5R2-v0", "ALE/SpaceInvaders-v5")),
        *((env_id, True) for env_id in ("ALE/Breakout-v5", "ALE/SpaceInvaders-v5")),
    ],
)
def test_a_seeded_reset_determines_what_comes_whatever_came_before(env_id, training):
    def trajectory(env):
        env.action_space.seed(3)
        obs, _ = env.reset(seed=3)
        observations = [*leaves(obs)]
        for _ in range(9 if family_name(env_id) == "highway" else 60):
            obs, reward, terminated, truncated, _ = env.step(env.action_space.sample())
            observations += [*leaves(obs), reward, terminated, truncated]
            if terminated or truncated:
                obs, _ = env.reset()
                observations += leaves(obs)
        return observations

    used = make_or_skip(env_id, training=training)
    used.reset(seed=11)
    used.action_space.seed(11)
    for _ in range(5 if family_name(env_id) == "highway" else 40):
        _, _, terminated, truncated, _ = used.step(used.action_space.sample())
        if terminated or truncated:
            used.reset()
    first, second = trajectory(used), trajectory(make_or_skip(env_id, training=training))
    assert len(first) == len(second)
    for value_1, value_2 in zip(first, second, strict=True):
        np.testing.assert_array_equal(value_1, value_2)


@pytest.mark.parametrize("env_id", [*IDS, "CarRacing-v3", "Acrobot-v1", "MountainCar-v0"])
def test_frames_need_no_display(env_id, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    if family_name(env_id) == "mujoco" and not mujoco_draws():
        pytest.skip("MuJoCo finds neither EGL nor OSMesa (libegl1, libosmesa6) to draw with")
    env = make_or_skip(env_id, render_mode="rgb_array")
    env.reset(seed=0)
    env.step(env.action_space.sample())
    frame = env.render()
    assert frame.dtype == np.uint8
    assert frame.ndim == 3
    assert frame.std() > 1
    env.close()


@pytest.mark.parametrize(
    ("env_id", "index", "name"),
    [
        ("CartPole-v1", 3, "pole angular velocity"),
        ("Acrobot-v1", 5, "angular velocity 2"),
        ("Pendulum-v1", 1, "sine"),
        ("MountainCar-v0", 0, "position"),
        ("MountainCarContinuous-v0", 1, "velocity"),
        ("LunarLander-v3", 6, "left leg contact"),
        ("BipedalWalker-v3", 23, "lidar 9"),
        ("HalfCheetah-v5", 0, "rootz position"),
        ("HalfCheetah-v5", 16, "ffoot velocity"),
    ],
)
def test_numbers_have_names(env_id, index, name):
    space = make_or_skip(env_id).observation_space
    assert isinstance(space.tokens, Features)
    assert len(space.tokens.names) == space.shape[0]
    assert space.tokens.names[index] == name
    assert space.dtype == np.float32


@pytest.mark.parametrize(
    ("env_id", "names"),
    [
        ("CartPole-v1", ("push left", "push right")),
        ("LunarLander-v3", ("nothing", "left engine", "main engine", "right engine")),
        ("LunarLanderContinuous-v3", ("main engine", "side engine")),
        ("CarRacing-v3", ("steering", "gas", "brake")),
        (
            "MiniGrid-DoorKey-5x5-v0",
            ("left", "right", "forward", "pickup", "drop", "toggle", "done"),
        ),
        ("MinAtar/Breakout-v1", ("nothing", "left", "right")),
        ("MinAtar/Breakout-v0", ("nothing", "left", "up", "right", "down", "fire")),
        ("ALE/Breakout-v5", ("NOOP", "FIRE", "RIGHT", "LEFT")),
        ("highway-fast-v0", ("LANE_LEFT", "IDLE", "LANE_RIGHT", "FASTER", "SLOWER")),
        ("intersection-v2", ("SLOWER", "IDLE", "FASTER")),
        ("parking-v0", ("acceleration", "steering")),
        ("HalfCheetah-v5", ("bthigh", "bshin", "bfoot", "fthigh", "fshin", "ffoot")),
        ("Blackjack-v1", None),
    ],
)
def test_actions_have_names(env_id, names):
    assert action_names(make_or_skip(env_id)) == names


def test_an_environment_that_make_env_did_not_make_has_names_too():
    assert action_names(gym.make("CartPole-v1")) == ("push left", "push right")


def test_tokens_are_said_by_the_space():
    assert isinstance(
        make_or_skip("MiniGrid-DoorKey-5x5-v0").observation_space["view"].tokens, Cells
    )
    assert isinstance(make_or_skip("MinAtar/Breakout-v1").observation_space.tokens, Patches)


def test_a_history_is_the_outermost_wrapper():
    space = make_env("CartPole-v1", history=3).observation_space
    assert isinstance(space, TokenBox)
    assert (space.tokens.steps, space.tokens.features) == (3, 4)
    assert space.tokens.names[2] == "pole angle"


@pytest.mark.parametrize("env_id", ["CartPole-v1", "ALE/Breakout-v5", "MinAtar/Breakout-v1"])
def test_steps_are_limited_as_the_agent_counts_them(env_id):
    env = make_or_skip(env_id, max_episode_steps=3)
    env.reset(seed=0)
    ends = [env.step(0)[2:4] for _ in range(3)]
    assert ends == [(False, False)] * 2 + [(False, True)]


def test_the_registered_limit_can_be_lifted():
    env = make_env("Pendulum-v1", max_episode_steps=250)
    env.reset(seed=0)
    assert [env.step([0.0])[3] for _ in range(250)].index(True) == 249


@pytest.mark.parametrize(
    ("env_id", "message"),
    [
        ("Cartpole-v1", "unknown environment 'Cartpole-v1'; did you mean CartPole-v1 or"),
        ("LunarLander-v2", "did you mean LunarLander-v3 or"),
        ("Pendulum", "did you mean Pendulum-v1"),
        ("qqqq", r"unknown environment 'qqqq'. An environment of your own is named module:Id"),
        ("no_such_module:X-v0", "'no_such_module:X-v0' names a module that cannot be imported"),
        (".foo:Bar", "'.foo:Bar' names no module: '.foo'; write module:Id"),
        ("a:b:Bar", "'a:b:Bar' names no module: 'a:b'; write module:Id"),
    ],
)
def test_an_unknown_id_is_answered_with_a_suggestion(env_id, message):
    with pytest.raises(ValueError, match=message):
        make_env(env_id)


def test_suggestions_know_what_is_installed():
    pytest.importorskip("minigrid")
    with pytest.raises(ValueError, match="did you mean MiniGrid-DoorKey-5x5-v0"):
        make_env("Minigrid-doorkey-5x5-v0")


def test_atari_ids_without_a_prefix_are_found():
    assert family_name(make_or_skip("PongNoFrameskip-v4").spec.id) == "atari"
    pytest.importorskip("ale_py")
    assert make_env("Pong-v4").observation_space.shape == (4, 84, 84)


@pytest.mark.parametrize(
    ("env_id", "package", "family"),
    [
        ("MiniGrid-DoorKey-5x5-v0", "minigrid", "minigrid"),
        ("MinAtar/Breakout-v1", "minatar", "minatar"),
        ("ALE/Pong-v5", "ale_py", "atari"),
        ("ALE/Pong-v5", "cv2", "atari"),
        ("highway-v0", "highway_env", "highway"),
        ("LunarLander-v3", "Box2D", "box2d"),
        ("HalfCheetah-v5", "mujoco", "mujoco"),
    ],
)
def test_a_missing_extra_is_named_with_its_install_line(env_id, package, family, monkeypatch):
    monkeypatch.delitem(sys.modules, f"attention_agents.envs.adapters.{family}", raising=False)
    for name in [n for n in sys.modules if n.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError) as error:
        make_env(env_id)
    assert f'pip install "attention-agents[{family}]"' in str(error.value)
    assert package in str(error.value)
    assert isinstance(error.value, ValueError)


def test_classic_control_needs_pygame_only_to_draw(monkeypatch):
    monkeypatch.setitem(sys.modules, "pygame", None)
    make_env("CartPole-v1").reset(seed=0)
    with pytest.raises(MissingExtraError, match=r'pip install "attention-agents\[classic\]"'):
        make_env("CartPole-v1", render_mode="rgb_array")


def test_own_environments_are_named_with_their_module(own_module):
    env = make_env(f"{own_module}:Maze-v0")
    assert family_name(f"{own_module}:Maze-v0") == "other"
    assert env.reset(seed=0)[0] == 4
    assert env.action_space == gym.spaces.Discrete(3)
    assert env.step(2)[1] == 4.0  # the last of 2, 3, 4
    assert action_names(env) is None


def test_unsupported_spaces_are_refused(own_module):
    with pytest.raises(ValueError, match=r"observations of Text.*supported are Box, Discrete"):
        make_env(f"{own_module}:Talker-v0")
    with pytest.raises(ValueError, match=r"actions of Dict.*supported are Box with finite bounds"):
        make_env(f"{own_module}:Handful-v0")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"history": -1}, "history must be 0 or a number of steps, got -1"),
        ({"history": 1.5}, r"history must be 0 or a number of steps, got 1\.5"),
        ({"max_episode_steps": 0}, "max_episode_steps must be at least 1, got 0"),
        ({"env_kwargs": {"no_such": 1}}, "CartPole-v1 refused no_such=1: .*unexpected keyword"),
    ],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_env("CartPole-v1", **arguments)


@pytest.mark.parametrize(
    ("env_id", "env_kwargs", "message"),
    [
        ("LunarLander-v3", {"gravity": -20}, "refused gravity=-20: gravity .* between -12 and 0$"),
        ("MiniGrid-DoorKey-5x5-v0", {"agent_view_size": 4}, "refused agent_view_size=4: Assert"),
        ("FrozenLake-v1", {"map_name": "9x9"}, "refused map_name='9x9': KeyError '9x9'$"),
        ("HalfCheetah-v5", {"frame_skip": 0, "xml_file": "x"}, "frame_skip=0, xml_file='x': File"),
    ],
)
def test_what_an_environment_refuses_is_said_in_one_sentence(env_id, env_kwargs, message):
    with pytest.raises(ValueError, match=message) as error:
        make_or_skip(env_id, env_kwargs=env_kwargs)
    assert str(error.value).startswith(f"{env_id} refused ")
    assert "\n" not in str(error.value)


def test_mujoco_leaves_no_log_behind_and_says_what_it_warns_of(tmp_path, monkeypatch, recwarn):
    mujoco = pytest.importorskip("mujoco")
    monkeypatch.chdir(tmp_path)
    make_env("HalfCheetah-v5")
    assert not list(tmp_path.iterdir())
    assert not [w for w in recwarn if "MuJoCo" in str(w.message)]  # its model is Gymnasium's matter
    mujoco.get_mju_user_warning()("the simulation is unstable")
    assert "MuJoCo: the simulation is unstable" in str(recwarn.pop(UserWarning).message)


def test_mujoco_without_anything_to_draw_with_says_what_to_install(monkeypatch):
    pytest.importorskip("mujoco")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "MUJOCO_GL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("ctypes.util.find_library", lambda name: None)
    monkeypatch.setattr("sys.platform", "linux")
    make_env("HalfCheetah-v5")
    with pytest.raises(MissingExtraError, match="apt-get install libegl1"):
        make_env("HalfCheetah-v5", render_mode="rgb_array")


def test_importing_the_room_does_nothing():
    script = (
        "import gymnasium, os, sys; before = dict(os.environ); import envs;"
        "assert dict(os.environ) == before;"
        "heavy = ('torch', 'pygame', 'minigrid', 'minatar', 'ale_py', 'highway_env', 'mujoco');"
        "print([m for m in heavy if m in sys.modules],"
        "[i for i in gymnasium.registry if i.startswith(('ALE/', 'MiniGrid'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[] []"


def test_keys_beyond_the_space_are_left_out():
    class Talkative(gym.Env):
        observation_space = spaces.Dict(x=spaces.Box(-1, 1, (3,)))
        action_space = spaces.Discrete(2)

        def reset(self, *, seed=None, options=None):
            return {"x": np.zeros(3, np.float32), "mission": "go"}, {}

        def step(self, action):
            return *self.reset()[:1], 0.0, False, False, {}

    gym.register("Talkative-v0", Talkative)
    try:
        env = make_env("Talkative-v0")
        assert list(env.reset()[0]) == list(env.step(0)[0]) == ["x"]
    finally:
        gym.registry.pop("Talkative-v0")


def test_the_shape_of_a_gray_road_may_be_a_list():
    pytest.importorskip("highway_env")
    observation = {
        "type": "GrayscaleObservation",
        "observation_shape": [64, 48],
        "stack_size": 2,
        "weights": [0.3, 0.6, 0.1],
    }
    config = {"duration": 2, "observation": observation}
    env = make_env("highway-fast-v0", env_kwargs={"config": config})
    assert env.observation_space.shape == (2, 64, 48)


@pytest.mark.parametrize("env_id", ["ALE/Backgammon-v5", "ALE/VideoCheckers-v5"])
def test_games_without_an_idle_action_are_made(env_id):
    env = make_or_skip(env_id, training=True)
    assert env.reset(seed=0)[0].shape == (4, 84, 84)
    env.step(env.action_space.sample())


def test_continuous_atari_is_refused_with_the_reason():
    pytest.importorskip("ale_py")
    with pytest.raises(ValueError, match="continuous=True goes only with obs_type='ram'"):
        make_env("ALE/Pong-v5", env_kwargs={"continuous": True})
    make_env("ALE/Pong-v5", env_kwargs={"continuous": True, "obs_type": "ram"}).reset(seed=0)
