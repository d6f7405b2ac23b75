"""The families of environments, and which one an id belongs to."""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass

import gymnasium as gym

from envs.adapters.adapter import Adapter

PACKAGE = "attention-agents"


class MissingExtraError(ValueError):
    """The environment needs a package that is not installed; the text says how to install it."""


@dataclass(frozen=True)
class Family:
    """Environments that are made, observed and drawn alike."""

    name: str
    ids: str
    """Pattern of ids, for those that are not registered until their package is imported."""
    source: str
    """Where the entry points of registered ids lie."""
    extra: str
    """The optional dependency that brings the family's packages."""

    def adapter(self) -> Adapter:
        """Import the family's adapter, which imports its packages, and register its ids.

        Raises:
            MissingExtraError: a package of the family is missing or broken.
        """
        try:
            adapter: Adapter = importlib.import_module(f"envs.adapters.{self.name}").ADAPTER
            adapter.register()
        except ImportError as error:
            raise MissingExtraError(
                f"{self.name} environments need packages that cannot be imported ({error}). "
                f'Install them with: pip install "{PACKAGE}[{self.extra}]"'
            ) from error
        return adapter


_HIGHWAY = "highway|intersection|merge|roundabout|parking|racetrack|exit|two-way|u-turn|lane-keeping"

FAMILIES = (
    Family("minigrid", r"(MiniGrid|BabyAI)-", "minigrid", "minigrid"),
    Family("minatar", r"MinAtar/", "minatar", "minatar"),
    Family("atari", r"ALE/|.*(NoFrameskip|Deterministic)-v\d+$", "ale_py", "atari"),
    Family("highway", rf"({_HIGHWAY})(-[A-Za-z-]+)?-v\d+$", "highway_env", "highway"),
    Family("mujoco", r"(?!)", "gymnasium.envs.mujoco", "mujoco"),
    Family("box2d", r"(?!)", "gymnasium.envs.box2d", "box2d"),
    Family("classic", r"(?!)", "gymnasium.envs.classic_control", "classic"),
)
"""The pattern `(?!)` matches no id: Gymnasium itself registers these, with or without their packages."""


def family_of(env_id: str) -> str:
    """Return the name of an id's family, without importing any package.

    >>> family_of("MiniGrid-DoorKey-5x5-v0"), family_of("LunarLander-v3"), family_of("mine:Maze-v0")
    ('minigrid', 'box2d', 'other')
    """
    family = find_family(env_id)
    return "other" if family is None else family.name


def find_family(env_id: str) -> Family | None:
    """Return the family of an id, `module:Id` included; None for an environment of no family."""
    name = env_id.rpartition(":")[2]
    spec = gym.registry.get(name)
    if spec is None:
        return next((family for family in FAMILIES if re.match(family.ids, name)), None)
    entry = spec.entry_point if isinstance(spec.entry_point, str) else ""
    return next((family for family in FAMILIES if re.match(rf"{family.source}[.:]", entry)), None)
