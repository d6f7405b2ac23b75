"""Unpickling that makes objects of harmless classes only.

A pickle is a program that may call whatever it names. Here it may name spaces, numpy's arrays and
scalars, torch's activations and optimizers, SB3's policies, buffers, noise and schedules, and the
classes of this package that stand in a policy's arguments, under their names of today and of
version 0.1.
"""

from __future__ import annotations

import io
import pickle
from importlib import import_module
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import BaseBuffer
from stable_baselines3.common.noise import ActionNoise
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor

PACKAGES = {
    "gymnasium.spaces": (spaces.Space,),
    "stable_baselines3": (BasePolicy, BaseBuffer, ActionNoise, BaseFeaturesExtractor),
    "sb3_contrib": (BasePolicy, BaseBuffer),
    "numpy": (np.generic,),
    "torch.nn.modules.activation": (torch.nn.Module,),
    "torch.optim": (torch.optim.Optimizer,),
}
"""Classes that may be named: those of these kinds in these packages."""
NAMES = {
    "builtins": ("set", "frozenset", "slice", "range", "complex", "bytearray"),
    "collections": ("OrderedDict", "deque"),
    "numpy": ("dtype", "ndarray"),
    "numpy.core.multiarray": ("scalar", "_reconstruct"),
    "numpy.core.numeric": ("_frombuffer",),
    "numpy._core.multiarray": ("scalar", "_reconstruct"),
    "numpy._core.numeric": ("_frombuffer",),
    "numpy.random._pickle": ("__generator_ctor", "__bit_generator_ctor"),
    "numpy.random._pcg64": ("PCG64",),
    "numpy.random.bit_generator": ("SeedSequence", "__pyx_unpickle_SeedSequence"),
    "stable_baselines3.common.type_aliases": ("TrainFreq", "TrainFrequencyUnit"),
    "stable_baselines3.common.utils": ("LinearSchedule", "FloatSchedule", "ConstantSchedule"),
    "attention_agents.envs.tokens.spaces": ("TokenBox",),
    "attention_agents.envs.tokens.specs": (
        *("Features", "Categories", "Entities", "Cells", "Patches", "History", "Frames"),
    ),
    "attention_agents.envs.tokens.layout": ("Conv",),
    "attention_agents.policies.attention.attention_config": ("AttentionConfig",),
    "attention_agents.policies.gate.attention_gate": ("GateConfig",),
    "attention_agents.policies.sb3.extractor": ("AttentionExtractor",),
    "attention_agents.policies.sb3.gated_extractor": ("GatedExtractor",),
    "attention_agents.policies.sb3.stock_extractor": ("StockExtractor",),
    "attention_agents.policies.sb3.pointer": ("PointerExtractor", "PointerPolicy"),
    "attention_agents.policies.sb3.maskable_pointer": ("MaskablePointerPolicy",),
    "attention_agents.policies.sb3.recurrent": ("TokenExtractor", "AttentionGRUPolicy"),
}
"""What else may be named."""
OLD_MODULES = {
    "envs.layout": "attention_agents.envs.tokens.layout",
    "envs.spaces": "attention_agents.envs.tokens.spaces",
    "envs.specs": "attention_agents.envs.tokens.specs",
    "policies.attention.mechanism": "attention_agents.policies.attention.attention_config",
    "policies.extractor": "attention_agents.policies.sb3.extractor",
    "policies.maskable_pointer": "attention_agents.policies.sb3.maskable_pointer",
    "policies.pointer": "attention_agents.policies.sb3.pointer",
    "policies.recurrent": "attention_agents.policies.sb3.recurrent",
}
"""Modules of version 0.1, and where their classes are today."""
OLD_CLASSES = {"Mechanism": "AttentionConfig"}
"""Classes of version 0.1, and their names today."""
PythonUnpickler: Any = getattr(pickle, "_Unpickler")  # noqa: B009
"""The one written in Python, whose steps can be overridden."""


class RestrictedUnpickler(PythonUnpickler):
    """Read a pickle, and refuse every name that is not on the lists of this module.

    Raises:
        pickle.UnpicklingError: the pickle names something else, or changes a class.
    """

    dispatch = dict(PythonUnpickler.dispatch)

    def find_class(self, module_name: str, global_name: str) -> Any:
        module_name = OLD_MODULES.get(module_name, module_name)
        global_name = OLD_CLASSES.get(global_name, global_name)
        if global_name in NAMES.get(module_name, ()):
            return getattr(import_module(module_name), global_name)
        for package, kinds in PACKAGES.items():
            if f"{module_name}.".startswith(f"{package}.") and global_name.isidentifier():
                member = getattr(import_module(module_name), global_name, None)
                if isinstance(member, type) and issubclass(member, kinds):
                    return member
        raise pickle.UnpicklingError(f"it names {module_name}.{global_name}")

    def load_build(self) -> None:
        """Set the state of an instance; a class keeps its own."""
        if isinstance(self.stack[-2], type):
            raise pickle.UnpicklingError(f"it changes {self.stack[-2].__name__}")
        super().load_build()

    dispatch[pickle.BUILD[0]] = load_build


def restricted_loads(data: bytes) -> Any:
    """Unpickle `data`, see `RestrictedUnpickler`."""
    return RestrictedUnpickler(io.BytesIO(data)).load()
