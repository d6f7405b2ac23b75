"""The families of environments, and which one an id belongs to."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

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
    ids: str
    """Pattern of ids, for those that are not registered until their package is imported."""
    source: str
    """Where the entry points of registered ids lie."""

    def adapter(self) -> Adapter:
        """Import the family's adapter, which imports its packages, and register its ids.

        Raises:
            MissingExtraError: a package of the family is missing or broken.
        """
        with self.importing():
            module = importlib.import_module(f"attention_agents.envs.adapters.{self.name}")
            adapter: Adapter = module.ADAPTER
            adapter.register()
            return adapter

    @contextmanager
    def importing(self) -> Iterator[None]:
        """Say how to install what is missing.

        Raises:
            MissingExtraError: an import in this context failed.
        """
        try:
            yield
        except (ImportError, gym.error.DependencyNotInstalled) as error:
            raise MissingExtraError(
                f"{self.name} environments need a package that cannot be imported ({error}). "
                f'Install it with: pip install "{PACKAGE}[{self.name}]"'
            ) from error


class OtherFamily(Family):
    """Environments that nothing is known of."""

    def adapter(self) -> Adapter:
        return Adapter()

    @contextmanager
    def importing(self) -> Iterator[None]:
        try:
            yield
        except (ImportError, gym.error.DependencyNotInstalled) as error:
            raise MissingExtraError(f"the environment needs a missing package: {error}") from error


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


OTHER = OtherFamily("other", "", "")


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
        return next((family for family in FAMILIES if re.match(family.ids, name)), OTHER)
    entry = spec.entry_point if isinstance(spec.entry_point, str) else ""
    return next((family for family in FAMILIES if re.match(rf"{family.source}[.:]", entry)), OTHER)
