"""How good a trained policy is: whole episodes on fixed seeds, beside the random policy's."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

import gymnasium as gym

from attention_agents.agents.config.validation import check_count
from attention_agents.agents.evaluation.report import EpisodeResults, Report
from attention_agents.agents.progress_bar import progress_bars
from attention_agents.agents.rollouts.episodes import Actor, RandomActor, play_episodes
from attention_agents.agents.rollouts.eval_env import step_limit
from attention_agents.agents.rollouts.seeds import SEED, episode_seeds
from attention_agents.agents.runs.loaded_run import open_run
from attention_agents.envs.success import SuccessRule


def evaluate(
    run: str | Path,
    *,
    env: str | None = None,
    checkpoint: str | None = None,
    episodes: int = 100,
    seed: int = SEED,
    stochastic: bool = False,
    n_envs: int = 8,
    device: str = "auto",
    random_policy: bool = True,
    progress: bool = False,
) -> Report:
    """Play whole episodes with a checkpoint of a run.

    Rewards are the environment's own, neither clipped nor normalized. Episode i has the seed
    `seed + i`, and its result does not depend on `n_envs`.

    Args:
        run: a run folder.
        env: the run's environment, needed where the run names a module to import (`module:Id`).
        checkpoint: see `open_run`.
        episodes: how many, at least 1.
        seed: of the first episode, at least 0.
        stochastic: draw actions from the policy's distribution.
        n_envs: environments stepped side by side; only speed depends on it.
        device: where the policy lives, in torch's words or "auto".
        random_policy: let the random policy play the same seeds.
        progress: show bars on stderr when it is a terminal.

    Raises:
        ValueError: a number is out of range, the environment cannot be made, or see `open_run`.
    """
    seeds = episode_seeds(seed, episodes)
    check_count("n_envs", n_envs)
    with open_run(run, checkpoint, env=env, device=device) as loaded:
        envs = [loaded.make_eval_env() for _ in range(min(n_envs, episodes))]
        actors = {"agent": loaded.actor(stochastic)}
        if random_policy:
            actors["random"] = RandomActor(envs[0].action_space)
        rule = loaded.success_rule
        with progress_bars(progress, dict.fromkeys(actors, episodes)) as advance:
            results = {
                name: _play_timed(envs, actor, seeds, rule, partial(advance, name))
                for name, actor in actors.items()
            }
    return Report(
        env=loaded.config.env,
        algo=loaded.config.algo,
        encoder=loaded.config.encoder.kind,
        run=str(loaded.folder.path),
        checkpoint=loaded.checkpoint,
        trained_steps=loaded.model.num_timesteps,
        episodes=episodes,
        seed=seed,
        stochastic=stochastic,
        max_episode_steps=step_limit(envs[0]),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        agent=results["agent"],
        random=results.get("random"),
    )


def _play_timed(
    envs: Sequence[gym.Env],
    actor: Actor,
    seeds: Sequence[int],
    is_success: SuccessRule,
    advance: Callable[[], None],
) -> EpisodeResults:
    start = time.perf_counter()
    episodes = play_episodes(envs, actor, seeds, is_success, lambda episode: advance())
    return EpisodeResults(episodes, time.perf_counter() - start)
