"""The families of environments, and which one an id belongs to."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import gymnasium as gym

from attention_agents.envs.adapters.adapter import Adapter

PACKAGE = "attention-agents"
"""Has an extra of the name of each family, which brings the family's packages."""


class MissingExtraError(ValueError):
    """An optional package is needed that is not installed; the text says how to install it."""


@dataclass(frozen=True)
class Family:
    """Environments that are made, observed and drawn alike."""

    name: str
    ids: str = ""
    """Pattern of ids, for those that are not registered until their package is imported."""
    source: str = ""
    """Where the entry points of registered ids lie."""

    def load_adapter(self) -> Adapter:
        """Import the family's adapter, which imports its packages, and register its ids.

        Raises:
            MissingExtraError: a package of the family is missing or broken.
        """
        if self is UNKNOWN_FAMILY:
            return Adapter()
        with self.explain_missing_packages():
            module = importlib.import_module(f"attention_agents.envs.adapters.{self.name}")
            module.ADAPTER.register_envs()
            return module.ADAPTER

    @contextmanager
    def explain_missing_packages(self) -> Iterator[None]:
        """Say how to install what is missing.

        Raises:
            MissingExtraError: an import in this context failed.
        """
        try:
            yield
        except (ImportError, gym.error.DependencyNotInstalled) as error:
            text = f"the environment needs a missing package: {error}"
            if self is not UNKNOWN_FAMILY:
                text = (
                    f"{self.name} environments need a package that cannot be imported ({error}). "
                    f'Install it with: pip install "{PACKAGE}[{self.name}]"'
                )
            raise MissingExtraError(text) from error


_HIGHWAY = (
    "highway|intersection|merge|roundabout|parking|racetrack|exit|two-way|u-turn|lane-keeping"
)

FAMILIES = (
    Family("tasks", r"attention/", "attention_agents.envs.tasks"),
    Family("minigrid", r"(MiniGrid|BabyAI)-", "minigrid"),
    Family("minatar", r"MinAtar/", "minatar"),
    Family("atari", r"ALE/|.*(NoFrameskip|Deterministic)-v\d+$", "ale_py"),
    Family("highway", rf"({_HIGHWAY})(-[A-Za-z-]+)?-v\d+$", "highway_env"),
    Family("mujoco", r"(?!)", "gymnasium.envs.mujoco"),
    Family("box2d", r"(?!)", "gymnasium.envs.box2d"),
    Family("classic", r"(?!)", "gymnasium.envs.classic_control"),
)
"""`(?!)` matches no id: Gymnasium itself registers these, with or without their packages."""

UNKNOWN_FAMILY = Family("other")
"""Of environments that nothing is known of."""


def family_name(env_id: str) -> str:
    """Return the name of an id's family, without importing any package.

    >>> family_name("MiniGrid-DoorKey-5x5-v0"), family_name("mine:Maze-v0")
    ('minigrid', 'other')
    """
    return find_family(env_id).name


def find_family(env_id: str) -> Family:
    """Return the family of an id, `module:Id` included."""
    name = env_id.rpartition(":")[2]
    spec = gym.registry.get(name)
    if spec is None:
        return next((f for f in FAMILIES if re.match(f.ids, name)), UNKNOWN_FAMILY)
    for module in _modules_behind(spec.entry_point):  # the nearest first
        for family in FAMILIES:
            if re.match(rf"{family.source}(\.|$)", module):
                return family
    return UNKNOWN_FAMILY


def _modules_behind(entry_point: Any) -> list[str]:
    """Return where an environment's class and its bases lie; imports nothing."""
    module, _, name = entry_point.partition(":") if isinstance(entry_point, str) else ("", "", "")
    made_by = getattr(sys.modules.get(module), name, None) if module else entry_point
    bases = made_by.__mro__ if isinstance(made_by, type) else ()
    return [module, *(base.__module__ for base in bases)]


def find_adapter(env: gym.Env) -> Adapter:
    """Return the adapter of the family of an environment that was made."""
    return (UNKNOWN_FAMILY if env.spec is None else find_family(env.spec.id)).load_adapter()
