"""`evaluate`: the returns of a trained agent, and the faithfulness of its attention maps."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import tyro

from attention_agents.agents.cli.command import Command, Verb
from attention_agents.agents.config.cli_types import Modules, optional_arg
from attention_agents.agents.config.plugins import import_plugins
from attention_agents.agents.rollouts.seeds import SEED

EXAMPLES = """
Without a verb: score. A run folder that is named like a verb is given as ./score

examples:
  {evaluate} RUN                                 100 episodes, beside the random policy
  {evaluate} RUN --episodes 20 --stochastic --json
  {evaluate} --sb3 MODEL.zip --env CartPole-v1   any agent that Stable-Baselines3 saved
  {evaluate} faithfulness RUN
  {evaluate} faithfulness RECORDING --score-steps 200
  {evaluate} faithfulness MODEL.zip --env CartPole-v1
"""


COMMAND_LINE_ONLY = ("plugins", "json")


@dataclass(frozen=True, kw_only=True)
class PolicyOptions:
    """Which policy is played."""

    env: Annotated[str | None, optional_arg("ID", "RUN's")] = None
    """Id of the run's environment; needed where that is module:Id, and for a zip file."""
    plugins: Modules = ()
    """Modules to import first; needed where the run was trained with some."""
    checkpoint: Annotated[str | None, optional_arg("STR", "best")] = None
    """best, final or step_<n>; without a best one, final is taken."""
    stochastic: tyro.conf.FlagCreatePairsOff[bool] = False
    """Sample actions from the policy's distribution; else the most likely ones are taken."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:0, ..."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print the report as JSON, and nothing else, on stdout."""


@dataclass(frozen=True, kw_only=True)
class ScoreOptions(PolicyOptions):
    """Evaluate a trained agent, and the random policy on the same seeds.

    The table on stdout ends with the file that holds all numbers, inside the run folder. Rewards
    are the environment's own, neither clipped nor normalized.
    """

    run: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN|MODEL.zip")]
    """The run folder that training made, or a zip file of Stable-Baselines3."""
    episodes: int = 100
    """Whole episodes to play."""
    seed: int = SEED
    """Seed of the first episode; episode i has seed + i, whatever --n-envs is."""
    n_envs: int = 8
    """Environments stepped side by side."""
    random_policy: tyro.conf.FlagCreatePairsOff[bool] = True
    """Leave the random policy out."""


@dataclass(frozen=True, kw_only=True)
class FaithfulnessOptions(PolicyOptions):
    """Measure whether evidence and the agent's attention maps explain what it does.

    Records episodes, removes tokens inside the policy, and writes what that changes beside the
    recording.
    """

    path: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN|RECORDING|ZIP")]
    """The run folder that training made, a recording of a run, or a zip file of SB3."""
    episodes: Annotated[int | None, optional_arg("INT", "10; of a recording, all")] = None
    """Whole episodes to record."""
    seed: Annotated[int | None, optional_arg("INT", str(SEED))] = None
    """Seed of the first episode; episode i has seed + i."""
    score_steps: int = 64
    """States in which tokens are removed in the order of each map."""
    truth: Literal["margin", "kl"] = "margin"
    """What maps are held against when a token is removed: how much less the action taken is
    preferred (margin), or how far the whole output moves, whatever was done (kl)."""


def run_score(options: ScoreOptions) -> None:
    """Play the episodes, and print the report."""
    import_plugins(options.plugins)
    from attention_agents.agents.evaluation.evaluate import evaluate
    from attention_agents.agents.evaluation.report import print_report, save_report

    report = evaluate(**_arguments(options), progress=True)
    # shown before it is saved: the run folder may be read-only
    if options.json:
        print(json.dumps(report.to_json(), indent=1), flush=True)
        save_report(report)
    else:
        print_report(report)
        print(save_report(report))


def run_faithfulness(options: FaithfulnessOptions) -> None:
    """Score the maps, and print the report."""
    import_plugins(options.plugins)
    from attention_agents.agents.faithfulness.report import print_report
    from attention_agents.agents.faithfulness.run_study import study_faithfulness

    report = study_faithfulness(**_arguments(options), progress=True)
    if options.json:
        print(json.dumps(report.to_json(), indent=1), flush=True)
    else:
        print_report(report)
        print(report.path)


def _arguments(options: PolicyOptions) -> dict[str, Any]:
    return {name: value for name, value in vars(options).items() if name not in COMMAND_LINE_ONLY}


EVALUATE = Command(
    "evaluate",
    {
        "score": Verb(ScoreOptions, run_score),
        "faithfulness": Verb(FaithfulnessOptions, run_faithfulness),
    },
    "Evaluate a trained agent, or measure whether evidence and attention explain what it does.",
    examples=EXAMPLES,
    flags={"faithfulness": ("faithfulness", ""), "sb3": ("score", "run")},
)
