"""The classes of the algorithms, imported when they are needed."""

from __future__ import annotations

from importlib import import_module

from stable_baselines3.common.base_class import BaseAlgorithm

from attention_agents.agents.config.algorithms import ALGORITHMS
from attention_agents.envs.families import PACKAGE, MissingExtraError


def algorithm_class(name: str) -> type[BaseAlgorithm]:
    """Import the class of an algorithm of the catalogue.

    Raises:
        MissingExtraError: it needs sb3-contrib, which is not installed, or broken.
    """
    algorithm = ALGORITHMS[name]
    if algorithm.contrib:
        try:
            import_module("sb3_contrib")
        except ImportError as error:
            raise MissingExtraError(
                f"{name} needs sb3-contrib, which cannot be imported ({error}). "
                f'Install it with: pip install "{PACKAGE}[contrib]"'
            ) from error
    module, _, class_name = algorithm.import_path.partition(":")
    return getattr(import_module(module), class_name)
