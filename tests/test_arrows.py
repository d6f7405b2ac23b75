"""The law of the rooms: imports run one way, and importing a room does nothing.

Every folder of the product is a room with an allowance of its own: the folders of the package, the
modules and the packages that it may import. The imports are read from the source, those inside
functions too.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "attention_agents."
TOP = ("agents", "envs", "policies", "recording")
SCRIPTS = ("train.py", "evaluate.py", "replay.py")

FAMILIES = ("minigrid", "minatar", "ale_py", "highway_env", "cv2", "mujoco", "Box2D", "pygame")
TORCH = ("torch", "jaxtyping", "safetensors")
SB3 = ("stable_baselines3", "sb3_contrib")
NO_FILES = ("pathlib", "shutil", "tempfile", "pickle")
NO_CLOCK = (*NO_FILES, "time", "datetime")


@dataclass(frozen=True)
class Room:
    """What the files of one folder may import, beside the standard library and each other."""

    rooms: tuple[str, ...] = ()
    """Folders and modules of `attention_agents`; a name opens everything below it."""
    packages: tuple[str, ...] = ()
    """Packages of others, or modules of them."""
    closed: tuple[str, ...] = ("pickle",)
    """Modules of the standard library that this room has no business with."""
    touches_files: bool = True


def world(*rooms: str, packages: tuple[str, ...] = ()) -> Room:
    return Room(
        rooms, ("numpy", "gymnasium", "jaxtyping", *packages), NO_FILES, touches_files=False
    )


def network(*rooms: str, packages: tuple[str, ...] = ()) -> Room:
    return Room(rooms, ("numpy", *TORCH, *packages), NO_CLOCK, touches_files=False)


MECHANISMS = ("scores", "normalizers", "hard_attention", "visibility", "positions", "head_mixing")
ATTENTION = ("policies.tokens", "policies.registries", "policies.attention", "envs.tokens")
ENCODER = (*ATTENTION, "policies.blocks", "policies.readouts", "policies.tokenizers")
READING = ("recording", "envs.tokens.layout", "envs.tokens.json_reader")
RECORDED = (
    *("envs.tokens.layout", "recording.chunk", "recording.files", "recording.header"),
    *("recording.evidence_spec", "recording.evidence_view"),
    *("recording.map_spec", "recording.map_view", "recording.observation_images"),
    *("recording.quantization", "recording.reader", "recording.rollout", "recording.step"),
)
DOING = ("agents", "recording", "policies", "envs")
ROOMS = {
    "envs": world("envs"),
    "envs.tokens": world(),
    "envs.wrappers": world("envs.tokens", "envs.token_places"),
    "envs.adapters": world("envs", packages=FAMILIES),
    "envs.tasks": world("envs.tokens", "envs.token_places"),
    "envs.vector": world(packages=("stable_baselines3", "cloudpickle")),
    "policies": network(*ENCODER),
    "policies.attention": network(
        "envs.tokens", "policies.tokens", "policies.registry", "policies.registries"
    ),
    **{f"policies.attention.{mechanism}": network(*ATTENTION) for mechanism in MECHANISMS},
    "policies.blocks": network(*ATTENTION),
    "policies.readouts": network(*ATTENTION, "policies.blocks"),
    "policies.tokenizers": network(*ATTENTION),
    "policies.gate": network(
        *(*ATTENTION, "policies.blocks", "policies.encoder", "envs.random_streams"),
        packages=("gymnasium.spaces",),
    ),
    "policies.sb3": network(
        *(*ENCODER, "policies.gate", "policies.encoder", "policies.state_dict_keys"),
        "envs.random_streams",
        packages=(*SB3, "gymnasium.spaces"),
    ),
    "policies.inspect": network(
        *(*ENCODER, "policies.encoder", "policies.sb3"),
        packages=(
            *("gymnasium.spaces", "stable_baselines3.common.preprocessing"),
            "stable_baselines3.common.torch_layers",
        ),
    ),
    "policies.testkit": network(*ENCODER),
    "recording": Room(READING, ("numpy", "PIL", "minari", "h5py", "gymnasium.spaces")),
    "recording.scene": Room(RECORDED, ("numpy",)),
    "recording.rendering": Room(
        (*RECORDED, "recording.scene"), ("numpy", "PIL", "imageio_ffmpeg", "rich")
    ),
    "recording.query": Room((*RECORDED, "recording.scene"), ("numpy",)),
    "recording.page": Room((*RECORDED, "recording.scene"), ("numpy", "PIL")),
    "recording.live": Room(
        (*READING, "policies", "envs"), ("numpy", "torch", "jaxtyping", "gymnasium")
    ),
    "agents": Room((), ("rich",)),
    "agents.cli": Room(
        (
            *("agents.config", "agents.replay", "agents.rollouts.seeds", "recording.query"),
            *("agents.training", "agents.evaluation", "agents.faithfulness"),
        ),
        ("tyro",),
    ),
    "agents.config": Room(("envs", "policies"), ("numpy", "yaml", "tyro")),
    "agents.algorithms": Room(
        ("agents.config", "agents.rollouts.eval_env", "envs", "policies"),
        ("numpy", "gymnasium", *TORCH, *SB3),
    ),
    "agents.runs": Room(
        (
            *("agents.config", "agents.algorithms", "agents.rollouts", "agents.progress_bar"),
            *("agents.runs.sb3_zip", "envs", "policies", "recording"),
        ),
        ("numpy", "gymnasium", *TORCH, *SB3),
    ),
    "agents.runs.sb3_zip": Room(
        (
            *("agents.config", "agents.algorithms", "agents.runs.checkpoint", "envs.families"),
            *("policies.inspect.attention_modules", "policies.sb3"),
        ),
        ("numpy", "gymnasium", "torch", *SB3),
        closed=(),
    ),
    "agents.rollouts": Room(
        ("agents.config", "envs", "policies.inspect.policy_adapter", "recording.reader"),
        ("numpy", "gymnasium", *TORCH, *SB3),
    ),
    "agents.training": Room(DOING, ("numpy", "gymnasium", *TORCH, *SB3, "matplotlib", "rich")),
    "agents.training.callbacks": Room(DOING, ("numpy", "gymnasium", "PIL", *TORCH, *SB3)),
    "agents.evaluation": Room(DOING, ("numpy", "gymnasium", *TORCH, *SB3, "rich")),
    "agents.faithfulness": Room(
        (
            *("agents.runs", "agents.rollouts.seeds", "agents.evaluation.statistics"),
            *("agents.progress_bar", "recording", "policies", "envs.ground_truth"),
            "envs.random_streams",
        ),
        ("numpy", "gymnasium", "torch", "jaxtyping", "rich"),
    ),
    "agents.replay": Room(DOING, ("numpy", "torch", "PIL", "rich", "tyro")),
    "scripts": Room(("agents.cli",)),
}


def folders() -> list[str]:
    """Return every folder of the product that holds Python, such as "policies.attention"."""
    files = [file for room in TOP for file in (ROOT / room).rglob("*.py")]
    return sorted({".".join(file.parent.relative_to(ROOT).parts) for file in files})


def files_of(room: str) -> list[Path]:
    """Return the files that stand in a room itself, not in the rooms below it."""
    if room == "scripts":
        return [ROOT / name for name in SCRIPTS]
    return sorted((ROOT / room.replace(".", "/")).glob("*.py"))


def imports_in(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield (line, "package.module.name") for every import, deferred ones and literal ones too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            dots = "." * node.level
            yield from ((node.lineno, f"{dots}{node.module}.{a.name}") for a in node.names)
        elif isinstance(node, ast.Call) and _name(node.func) in ("import_module", "__import__"):
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield node.lineno, first.value


def _name(func: ast.expr) -> str:
    return func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")


FILE_CALLS = {
    *("open", "fdopen", "read_text", "read_bytes", "write_text", "write_bytes", "touch", "unlink"),
    *("mkdir", "makedirs", "rmdir", "listdir", "iterdir", "load", "save", "savez", "memmap"),
    *("savez_compressed", "loadtxt", "savetxt", "fromfile", "tofile", "save_file", "load_file"),
}
"""Names of the functions and methods of builtins, os, pathlib, numpy, torch and safetensors."""


def opens_files_in(tree: ast.AST) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _name(node.func) in FILE_CALLS:
            yield node.lineno


def faults(room: str, source: str) -> list[str]:
    """Return one line for every import or file access of a source that its room does not allow."""

    def opened(name: str, doors: tuple[str, ...]) -> bool:
        return any(name == door or name.startswith(f"{door}.") for door in doors)

    def allowed(name: str) -> bool:
        if name.startswith(PACKAGE):
            return opened(name.removeprefix(PACKAGE), (room, *ROOMS[room].rooms))
        if name.split(".")[0] in sys.stdlib_module_names:
            return not opened(name, ROOMS[room].closed)
        return opened(name, ROOMS[room].packages)

    tree = ast.parse(source)
    found = [f"line {line} imports {name}" for line, name in imports_in(tree) if not allowed(name)]
    if not ROOMS[room].touches_files:
        found += [f"line {line} opens a file" for line in opens_files_in(tree)]
    return found


def test_every_folder_has_an_allowance() -> None:
    assert {*folders(), "scripts"} == set(ROOMS)


@pytest.mark.parametrize("name", ROOMS)
def test_imports_run_one_way(name: str) -> None:
    found = [
        f"{file.relative_to(ROOT)} {fault}"
        for file in files_of(name)
        for fault in faults(name, file.read_text("utf-8"))
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("room", "line"),
    [
        ("envs", "import torch"),
        ("envs", "def f():\n    from attention_agents.policies.sb3.extractor import X"),
        ("envs", "text = open('x').read()"),
        ("envs", "folder.joinpath('x').write_text('y')"),
        ("envs", "import importlib\nimportlib.import_module('torch.nn')"),
        ("envs", "from attention_agents import AttentionExtractor"),
        ("envs.tokens", "from attention_agents.envs.make import make_env"),
        ("policies.sb3", "torch.save(self.state_dict(), path)"),
        ("policies.attention", "from stable_baselines3 import PPO"),
        ("policies.attention", "from attention_agents.policies.encoder import Encoder"),
        ("policies.attention", "from attention_agents.envs.make import make_env"),
        ("policies.attention", "from .scores import Score"),
        ("policies.inspect", "from stable_baselines3 import PPO"),
        ("recording", "from attention_agents.policies.inspect.tap import AttentionMap"),
        ("recording.rendering", "import torch"),
        ("recording.scene", "from PIL import Image"),
        ("recording.page", "from attention_agents.recording.rendering.overlay import Scene"),
        ("recording.live", "from stable_baselines3 import PPO"),
        ("recording.live", "from attention_agents.agents.training.train import train"),
        ("agents.config", "import torch"),
        ("agents.training", "import train"),
        ("scripts", "import torch"),
    ],
)
def test_an_arrow_that_points_backward_is_found(room: str, line: str) -> None:
    assert faults(room, line)


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
    )


SILENT_IMPORT = """
import importlib, os, random, sys, warnings
import gymnasium, numpy, torch, stable_baselines3, PIL.Image, rich.console, tyro, yaml
import attention_agents, matplotlib.pyplot, torch.utils.tensorboard

def state():
    return {
        "random": random.getstate(),
        "numpy.random": str(numpy.random.get_state()),
        "torch seed": torch.initial_seed(),
        "torch random": torch.get_rng_state().tolist(),
        "torch threads": torch.get_num_threads(),
        "torch dtype": torch.get_default_dtype(),
        "numpy errors": numpy.geterr(),
        "warning filters": list(warnings.filters),
        "environment": dict(os.environ),
        "registered environments": sorted(gymnasium.registry),
        "path": list(sys.path),
    }

before = state()
for module in sys.argv[1].split():
    importlib.import_module(module)
for key, value in state().items():
    if value != before[key]:
        raise SystemExit(f"importing changes: {key}")
"""


def modules_of(room: str) -> list[str]:
    """Return the modules of a top-level folder, but for those that need a package of a family."""
    if room == "scripts":
        return [file.stem for file in files_of(room)]
    files = [file for file in sorted((ROOT / room).rglob("*.py")) if "adapters" not in file.parts]
    parts = [file.relative_to(ROOT).with_suffix("").parts for file in files]
    return [PACKAGE + ".".join(p).removesuffix(".__init__") for p in parts]


@pytest.mark.parametrize("room", [*TOP, "scripts"])
def test_importing_a_room_does_nothing(room: str) -> None:
    code = f"import sys; sys.argv = ['', {' '.join(modules_of(room))!r}]\n{SILENT_IMPORT}"
    result = run_python(code)
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""
    assert result.stderr == ""


@pytest.mark.parametrize(
    "module",
    [
        *("attention_agents", "attention_agents.envs.make", "attention_agents.envs.token_places"),
        *("train", "evaluate", "replay"),
    ],
)
def test_worlds_and_scripts_start_without_torch(module: str) -> None:
    result = run_python(f"import {module}, sys; sys.exit('torch' in sys.modules)")
    assert result.returncode == 0, result.stderr or f"importing {module} imports torch"


def test_a_recording_is_read_and_drawn_without_torch_or_a_model() -> None:
    watching = [name for name in modules_of("recording") if ".live" not in name]
    assert f"{PACKAGE}recording.rendering.overlay" in watching
    code = f"""
import sys
closed = ("torch", "stable_baselines3", "attention_agents.policies", "attention_agents.agents")
for name in closed:
    sys.modules[name] = None
import {", ".join(watching)}
"""
    result = run_python(code)
    assert result.returncode == 0, result.stderr
