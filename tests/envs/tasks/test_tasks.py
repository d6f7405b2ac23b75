"""The project's own tasks: their rules, their best and their random scores."""

import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as check_for_stable_baselines

from attention_agents.envs.families import family_name
from attention_agents.envs.make import action_names, make_env
from attention_agents.envs.tasks import Collect, CueRecall, register_tasks
from attention_agents.envs.tasks.ids import ENTRY_POINTS
from attention_agents.envs.token_places import get_token_places
from attention_agents.envs.tokens.spaces import build_layout, choose_specs
from attention_agents.envs.tokens.specs import Entities, Features

ROOT = Path(__file__).parents[3]
TASKS = {
    "cue": lambda **more: CueRecall(**more),
    "long cue": lambda **more: CueRecall(length=11, cues=5, **more),
    "collect": lambda **more: Collect(**more),
    "collect without mines": lambda **more: Collect(fruit=3, mines=0, **more),
    "collect among empty stands": lambda **more: Collect(2, 1, stands=12, **more),
    "collect one": lambda **more: Collect(fruit=1, mines=0, **more),
}


def play(env, policy, seed):
    """Return the score of an episode, and its last step."""
    obs, info = env.reset(seed=seed)
    score = 0.0
    while True:
        obs, reward, terminated, truncated, info = env.step(policy(obs, info))
        score += reward
        if terminated or truncated:
            return score, (obs, reward, terminated, truncated, info)


@pytest.mark.parametrize("name", TASKS)
def test_gymnasium_and_stable_baselines_take_it(name):
    check_env(TASKS[name](render_mode="rgb_array"))
    check_for_stable_baselines(TASKS[name](), warn=False)


@pytest.mark.parametrize("name", TASKS)
def test_a_seed_determines_an_episode_whatever_came_before(name):
    def trajectory(env):
        obs, info = env.reset(seed=5)
        observations = [obs, info]
        rng = np.random.default_rng(7)
        for _ in range(50):
            step = env.step(int(rng.integers(env.action_space.n)))
            observations += step
            if step[2] or step[3]:
                observations += env.reset()
        return observations

    used = TASKS[name]()
    play(used, lambda obs, info: 0, seed=9)
    first, second = trajectory(used), trajectory(TASKS[name]())
    assert len(first) == len(second)
    for value_1, value_2 in zip(first, second, strict=True):
        np.testing.assert_array_equal(value_1, value_2)


@pytest.mark.parametrize("name", TASKS)
def test_observations_that_are_kept_do_not_change(name):
    env = TASKS[name]()
    first_obs, _ = env.reset(seed=0)
    copy = first_obs.copy()
    for action in range(env.action_space.n):
        env.step(action)
    np.testing.assert_array_equal(first_obs, copy)


@pytest.mark.parametrize("name", TASKS)
def test_it_is_fast(name):
    """The stated 50,000 steps a second, with a tenth of that for busy machines."""
    env = TASKS[name]()
    actions = np.random.default_rng(0).integers(env.action_space.n, size=5000).tolist()
    env.reset(seed=0)
    start = time.perf_counter()
    for action in actions:
        _, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            env.reset()
    assert len(actions) / (time.perf_counter() - start) > 5000


@pytest.mark.parametrize("env_id", ENTRY_POINTS)
def test_make_env_finds_it_as_a_family_of_its_own(env_id):
    assert family_name(env_id) == "tasks"
    env = make_env(env_id, render_mode="rgb_array")
    assert family_name(env_id) == "tasks"
    obs, _ = env.reset(seed=0)
    assert env.observation_space.contains(obs)
    assert env.render().dtype == np.uint8
    assert len(action_names(env)) == env.action_space.n


def test_importing_registers_nothing_and_registering_twice_does_no_harm():
    script = (
        "import gymnasium, envs, envs.tasks as tasks;"
        "print([i for i in gymnasium.registry if i.startswith('attention/')]);"
        "tasks.register_tasks(); tasks.register_tasks();"
        "print(gymnasium.make('attention/CueRecall-v0', length=3).unwrapped.length)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["[]", "3"]


# CueRecall


def follow(memory):
    """Return a policy that remembers `memory` observations: it guesses exit 0 without the cue."""
    window = []

    def policy(obs, info):
        if info["step"] == 0:
            window.clear()
        window.append(obs)
        return int(np.array(window[-memory:])[:, :-2].sum(0).argmax())

    return policy


def scores(env, policy, episodes):
    return np.array([play(env, policy, seed)[0] for seed in range(episodes)])


@pytest.mark.parametrize(("length", "cues"), [(1, 2), (7, 2), (5, 3), (3, 8)])
def test_a_memory_of_one_step_more_than_the_corridor_solves_cue_recall(length, cues):
    env = CueRecall(length, cues)
    assert (scores(env, follow(length + 1), 50) == 1).all()
    shorter = scores(env, follow(length), 400).mean()
    assert shorter == pytest.approx(1 / cues, abs=4 * (cues - 1) ** 0.5 / cues / 20)


def test_the_cue_is_seen_at_its_step_alone():
    env = CueRecall(length=3, cues=3)
    for seed in range(9):
        obs, info = env.reset(seed=seed)
        assert info["cue_step"] == info["step"] == 0
        assert obs.tolist() == [*np.eye(3)[env.cue], 0, 0]
        observations = [env.step(action)[0].tolist() for action in (1, 0, 2)]
        places = [1 / 3, 2 / 3, 1]
        for row, place in zip(observations, places, strict=True):
            assert row == pytest.approx([0, 0, 0, place, float(place == 1)])


def test_cues_are_as_frequent_as_each_other():
    env = CueRecall(cues=4)
    env.reset(seed=0)
    counts = np.zeros(4)
    for _ in range(2000):
        env.reset()
        counts[env.cue] += 1
    np.testing.assert_allclose(counts, 500, atol=5 * (2000 * 0.25 * 0.75) ** 0.5)


@pytest.mark.parametrize("right", [True, False])
def test_leaving_ends_the_episode_and_says_whether_it_was_right(right):
    env = CueRecall(length=2, cues=2)
    env.reset(seed=0)
    assert env.step(0)[1:4] == (0.0, False, False)
    assert "is_success" not in env.step(0)[4]
    obs, reward, terminated, truncated, info = env.step(env.cue if right else 1 - env.cue)
    assert (reward, terminated, truncated) == (float(right), True, False)
    assert info == {"cue_step": 0, "step": 3, "is_success": right}
    assert obs[-1] == 1


@pytest.mark.parametrize("length", [1, 5])
def test_actions_before_the_junction_change_nothing(length):
    env = CueRecall(length, cues=3)
    for action in range(3):
        env.reset(seed=1)
        ends = [env.step(action)[2] for _ in range(length)]
        assert not any(ends)
        assert env.step(env.cue)[1:3] == (1, True)


def test_random_actions_score_as_documented_in_cue_recall():
    env, rng = CueRecall(), np.random.default_rng(0)
    returns = scores(env, lambda obs, info: int(rng.integers(2)), 1500).mean()
    assert returns == pytest.approx(0.5, abs=4 * 0.5 / 1500**0.5)


def test_the_frame_shows_the_cue_at_the_start_alone():
    env = CueRecall(cues=3, render_mode="rgb_array")
    frames = []
    for seed in range(20):
        env.reset(seed=seed)
        frames.append((env.cue, env.render()))
    corner = (slice(34, 62), slice(1, 4))
    colors = {cue: tuple(frame[corner][0, 0]) for cue, frame in frames}
    assert len(set(colors.values())) == 3
    env.step(0)
    assert tuple(env.render()[corner][0, 0]) not in colors.values()


def test_features_are_named():
    assert CueRecall(cues=2).observation_space.tokens == Features(
        ("cue 0", "cue 1", "position", "junction")
    )
    env = make_env("attention/CueRecall-v0", env_kwargs={"cues": 3})
    assert action_names(env) == ("exit 0", "exit 1", "exit 2")


# Collect


def ripest(obs, info):
    return int(obs[:, 3].argmax())


@pytest.mark.parametrize(("fruit", "mines"), [(5, 3), (1, 0), (10, 5)])
def test_picking_the_ripest_scores_1(fruit, mines):
    env = Collect(fruit, mines)
    for seed in range(100):
        score, (_, _, terminated, _, info) = play(env, ripest, seed)
        assert score == pytest.approx(1)
        assert terminated and info["is_success"] is True and info["target"] == -1


def random_collect(fruit, mines):
    """Return the exact score of picking at random among what is there, over all first tables."""

    @cache
    def score(left, mines, start):
        if left == 0:
            return 0.0
        total = left + mines
        onward = left / total * score(left - 1, mines, start)
        return 1 / total / start + onward - mines / total

    return np.mean([score(n, m, n) for n in range(1, fruit + 1) for m in range(mines + 1)])


@pytest.mark.parametrize(("fruit", "mines", "documented"), [(5, 3, -0.30), (5, 0, 0.67)])
def test_random_picks_score_as_documented_in_collect(fruit, mines, documented):
    exact = random_collect(fruit, mines)
    assert exact == pytest.approx(documented, abs=0.005)
    env, rng = Collect(fruit, mines), np.random.default_rng(0)
    returns = scores(env, lambda obs, info: rng.choice(np.flatnonzero(env.action_masks())), 1500)
    assert returns.mean() == pytest.approx(exact, abs=4 * returns.std() / 1500**0.5)


def test_every_number_of_things_occurs_and_a_single_fruit_too():
    env = Collect(fruit=3, mines=2)
    env.reset(seed=0)
    observations = set()
    for _ in range(300):
        obs, _ = env.reset()
        observations.add((int(obs[:, 1].sum()), int(obs[:, 2].sum())))
        assert (obs[:, 0] == obs[:, 1] + obs[:, 2]).all()
        assert not obs[obs[:, 0] == 0].any()
        ripeness = obs[obs[:, 1] == 1, 3]
        assert len(set(ripeness.tolist())) == len(ripeness)
        assert ((ripeness >= 0.1) & (ripeness <= 1)).all()
        assert not obs[obs[:, 2] == 1, 3].any()
    assert observations == {(fruit, mines) for fruit in (1, 2, 3) for mines in (0, 1, 2)}


def find(env, fruit, mines):
    """Return the first observation with so many things."""
    for seed in range(1000):
        obs, info = env.reset(seed=seed)
        if (obs[:, 1].sum(), obs[:, 2].sum()) == (fruit, mines):
            return obs, info
    raise AssertionError


def test_picks_are_rewarded_by_what_is_left():
    env = Collect()
    obs, info = find(env, 4, 1)
    third, second, first = np.argsort(obs[:, 3])[-3:].tolist()
    assert info["target"] == first
    obs, reward, terminated, _, info = env.step(second)
    assert (reward, terminated, info["target"]) == (0, False, first)
    assert not obs[second].any() and not env.action_masks()[second]
    assert env.step(second)[1:3] == (0, False), "an empty stand changes nothing"
    assert env.step(first)[1:3] == (0.25, False)
    assert env.step(third)[1:3] == (0.25, False)
    (last,) = np.flatnonzero(env.table[:, 1])
    _, reward, terminated, _, info = env.step(last)
    assert (reward, terminated, info["is_success"]) == (0.25, True, False)


def test_a_mine_ends_the_episode():
    env = Collect()
    obs, _ = find(env, 4, 1)
    _, reward, terminated, truncated, info = env.step(int(obs[:, 2].argmax()))
    assert (reward, terminated, truncated, info["is_success"]) == (-1, True, False, False)


def test_few_fruit_among_many_stands():
    env, seen = Collect(fruit=2, mines=1, stands=12), set()
    for seed in range(50):
        table, _ = env.reset(seed=seed)
        assert table.shape == (12, 6) and 1 <= table[:, 0].sum() <= 3
        seen |= set(np.flatnonzero(table[:, 0]))
    assert seen == set(range(12)) and env.action_space.n == 12


def test_an_episode_of_empty_picks_is_truncated():
    env = Collect(fruit=2, mines=1)
    obs, _ = find(env, 1, 0)
    empty = int(obs[:, 0].argmin())
    ends = [env.step(empty)[2:4] for _ in range(12)]
    assert ends == [(False, False)] * 11 + [(False, True)]


def test_stands_are_on_a_ring_and_on_the_frame():
    env = Collect(render_mode="rgb_array")
    obs, _ = find(env, 5, 2)
    here = obs[:, 0] == 1
    np.testing.assert_allclose(np.hypot(*obs[here, 4:].T), 1, rtol=1e-6)
    spec = choose_specs(env.observation_space)[""]
    assert isinstance(spec, Entities) and (spec.presence, spec.position) == (0, (4, 5))
    places = get_token_places(env, build_layout({"": spec}), (512, 512, 3))
    assert np.isfinite(places.boxes).all(1).tolist() == here.tolist()
    assert places.ids[here].tolist() == np.flatnonzero(here).tolist()
    frame, backdrop = env.render(), env.render()[0, 0]
    for box, row in zip(places.boxes[here] / 2, obs[here], strict=True):
        x0, y0, x1, y1 = box.round().astype(int)
        assert (frame[y0 + 1 : y1 - 1, (x0 + x1) // 2] != backdrop).any(-1).all()
        assert np.sign((x0 + x1) / 2 - 128 + 1e-6) == np.sign(row[4] + 1e-6)
        frame[y0:y1, x0:x1] = backdrop
    rest = (frame != backdrop).any(-1).sum()
    assert rest == pytest.approx((~here).sum() * np.pi * 20**2, rel=0.01)


def test_masks_reach_through_the_wrappers():
    env = make_env("attention/Collect-v0")
    obs, _ = env.reset(seed=0)
    assert env.get_wrapper_attr("action_masks")().tolist() == (obs[:, 0] == 1).tolist()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CueRecall(length=0), "a length of at least 1, got 0"),
        (lambda: CueRecall(cues=1), "cues must be 2 to 8, got 1"),
        (lambda: CueRecall(cues=9), "cues must be 2 to 8, got 9"),
        (lambda: Collect(fruit=0), "fruit must be 1 to 10, got 0"),
        (lambda: Collect(fruit=11), "fruit must be 1 to 10, got 11"),
        (lambda: Collect(mines=-1), "mines must be at least 0, got -1"),
        (lambda: Collect(2, 1, stands=2), "stands must be at least fruit . mines = 3, got 2"),
    ],
)
def test_sizes_are_checked(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_registered_tasks_take_arguments():
    register_tasks()
    assert gym.make("attention/Collect-v0", fruit=2, mines=1).unwrapped.stands == 3
    with pytest.raises(ValueError, match=r"attention/CueRecall-v0 refused cues=1: cues must be 2"):
        make_env("attention/CueRecall-v0", env_kwargs={"cues": 1})
