"""Names of tensors in checkpoints of version 0.1, and those of today."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, TypeVar

from torch import nn

Value = TypeVar("Value")
OLD_NAMES = {
    "asking": "query_block",
    "mix": "head_mixing",
    "nobody": "empty_vector",
    "normaliser": "normalizer",
    "nothing": "empty_vector",
    "weighing": "weighting",
    "where": "visibility",
}
"""Attributes on the way to a tensor, by their name in version 0.1."""


def rename_old_keys(
    state_dict: dict[str, Value], expected: Collection[str], prefix: str = ""
) -> dict[str, Value]:
    """Return a state dict under the names of today; tensors and their order are the same.

    Args:
        state_dict: from a file.
        expected: names that the module has; a tensor of such a name keeps it.
        prefix: of the names that may change.

    >>> rename_old_keys({"layer.asking.nothing": 1, "layer.where": 2}, {"layer.where"})
    {'layer.query_block.empty_vector': 1, 'layer.where': 2}
    """
    return {
        key
        if key in expected or not key.startswith(prefix)
        else ".".join(OLD_NAMES.get(name, name) for name in key.split(".")): value
        for key, value in state_dict.items()
    }


def rename_keys_on_load(
    module: nn.Module, state_dict: dict[str, Any], prefix: str, *_: Any
) -> None:
    """Rename the old keys of a module whenever it loads a state dict.

    To be given to `register_load_state_dict_pre_hook`; so files of version 0.1 load by
    Stable-Baselines3's own `load` too.
    """
    expected = {prefix + key for key in module.state_dict()}
    renamed = rename_old_keys(state_dict, expected, prefix)
    state_dict.clear()
    state_dict.update(renamed)
