"""Evaluate a trained agent, and the random policy on the same seeds."""

import json
from dataclasses import dataclass
from typing import Annotated

import tyro

from attention_agents.agents.cli import run_verb
from attention_agents.agents.config.run_config import Modules
from attention_agents.agents.rollouts.seeds import SEED


@dataclass(frozen=True)
class EvaluateConfig:
    """Evaluate a trained agent, and the random policy on the same seeds.

    The table on stdout ends with the file that holds all numbers, inside the run folder. Rewards
    are the environment's own, neither clipped nor normalised.

    With --faithfulness it says instead whether the agent's attention maps explain what it does: it
    records episodes, removes tokens inside the policy, and keeps what that changes beside the
    recording.
    """

    run: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN|RECORDING")]
    """The run folder that train.py made; with --faithfulness, or a recording of one."""
    env: Annotated[
        str | None, tyro.conf.arg(metavar="ID", help_behavior_hint="(default: RUN's)")
    ] = None
    """Id of the run's environment; needed where that is module:Id."""
    plugins: Modules = ()
    """Modules to import first; needed where the run was trained with some."""
    faithfulness: tyro.conf.FlagCreatePairsOff[bool] = False
    """Say whether the attention maps can be believed."""
    score_steps: Annotated[
        int | None, tyro.conf.arg(metavar="INT", help_behavior_hint="(default: 64)")
    ] = None
    """States in which tokens are removed in the order of each map. With --faithfulness only."""
    episodes: Annotated[
        int | None,
        tyro.conf.arg(metavar="INT", help_behavior_hint="(default: 100; with --faithfulness 10)"),
    ] = None
    """Whole episodes to play."""
    seed: Annotated[
        int | None, tyro.conf.arg(metavar="INT", help_behavior_hint=f"(default: {SEED})")
    ] = None
    """Seed of the first episode; episode i has seed + i, whatever --n-envs is."""
    stochastic: tyro.conf.FlagCreatePairsOff[bool] = False
    """Draw actions from the policy's distribution; else the most likely ones are taken."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print the report as JSON, and nothing else, on stdout."""
    n_envs: int = 8
    """Environments stepped side by side."""
    checkpoint: Annotated[
        str | None, tyro.conf.arg(metavar="STR", help_behavior_hint="(default: best)")
    ] = None
    """best, final or step_<n>; without a best one, final is taken."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:0, ..."""
    random_policy: tyro.conf.FlagCreatePairsOff[bool] = True
    """Leave the random policy out."""


def main(config: EvaluateConfig) -> None:
    from attention_agents.agents.config.plugins import import_plugins
    from attention_agents.agents.evaluation.evaluate import evaluate, save, show

    import_plugins(config.plugins)
    if config.faithfulness:
        return believe(config)
    if config.score_steps is not None:
        raise ValueError("--score-steps goes with --faithfulness")
    report = evaluate(
        config.run,
        env=config.env,
        checkpoint=config.checkpoint,
        episodes=100 if config.episodes is None else config.episodes,
        seed=SEED if config.seed is None else config.seed,
        stochastic=config.stochastic,
        n_envs=config.n_envs,
        device=config.device,
        random_policy=config.random_policy,
        progress=True,
    )
    # shown before it is saved: the run folder may be read-only
    if config.json:
        print(json.dumps(report.to_json(), indent=1), flush=True)
        save(report)
    else:
        show(report)
        print(save(report))


def believe(config: EvaluateConfig) -> None:
    """Say whether the maps of an agent can be believed."""
    from attention_agents.agents.faithfulness.report import show
    from attention_agents.agents.faithfulness.run_study import faithfulness
    from attention_agents.agents.faithfulness.scoring import SCORE_STEPS

    report = faithfulness(
        config.run,
        env=config.env,
        checkpoint=config.checkpoint,
        episodes=config.episodes,
        seed=config.seed,
        stochastic=config.stochastic,
        score_steps=SCORE_STEPS if config.score_steps is None else config.score_steps,
        device=config.device,
        progress=True,
    )
    if config.json:
        print(json.dumps(report.to_json(), indent=1), flush=True)
    else:
        show(report)
        print(report.path)


if __name__ == "__main__":
    run_verb(main, EvaluateConfig)
