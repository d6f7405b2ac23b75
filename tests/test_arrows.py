"""The law of the rooms: imports run one way, and importing a room does nothing.

envs <- policies <- recording <- agents <- scripts. The rules are read from the table below; the
imports are read from the source, those inside functions too.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = ("train.py", "evaluate.py", "replay.py")

FAMILIES = ("minigrid", "minatar", "ale_py", "highway_env", "cv2", "mujoco", "Box2D", "pygame")
TORCH = ("torch", "jaxtyping", "safetensors")


@dataclass(frozen=True)
class Room:
    """What the files of one room may import, beside the standard library."""

    imports: tuple[str, ...]
    """Packages or modules; a name opens everything below it."""
    more: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """What single files may import on top."""
    closed: tuple[str, ...] = ()
    """Modules of the standard library that this room has no business with."""
    touches_files: bool = True


ROOMS = {
    "envs": Room(
        imports=("envs", "numpy", "gymnasium", *FAMILIES),
        closed=("pathlib", "shutil", "tempfile", "pickle"),
        touches_files=False,
    ),
    "policies": Room(
        imports=(
            *("policies", "envs.layout", "envs.spaces", "envs.specs"),
            *("numpy", "gymnasium.spaces", *TORCH),
        ),
        more={
            "policies/extractor.py": ("stable_baselines3",),
            "policies/pointer.py": ("stable_baselines3",),
            # with the extra contrib
            "policies/maskable_pointer.py": ("sb3_contrib", "stable_baselines3"),
            "policies/recurrent.py": ("sb3_contrib",),
        },
        closed=("pathlib", "shutil", "tempfile", "pickle", "time", "datetime"),
        touches_files=False,
    ),
    "recording": Room(
        imports=("recording", "envs.layout", "numpy", "PIL", "imageio_ffmpeg"),
        more={
            "recording/recorder.py": (
                *("torch", "policies", "gymnasium"),
                "envs.places.places_of",
            ),
            "recording/described.py": ("policies", "gymnasium", "envs.make.action_names"),
            # the recorder's view of SB3's heads
            "recording/outputs.py": ("torch", "gymnasium.spaces"),
            "recording/terminal.py": ("rich",),
            # with the extra minari
            "recording/export.py": ("gymnasium.spaces", "minari", "h5py"),
        },
        closed=("pickle",),
    ),
    "agents": Room(
        imports=(
            *("agents", "recording", "policies", "envs", "numpy", "gymnasium", "PIL", *TORCH),
            *("stable_baselines3", "sb3_contrib", "tensorboard"),
            *("yaml", "tyro", "rich", "tqdm", "matplotlib"),
        ),
        closed=("pickle",),
    ),
    "scripts": Room(imports=("agents", "recording", "tyro"), closed=("pickle",)),
}


def files_of(room: str) -> list[Path]:
    if room == "scripts":
        return [ROOT / name for name in SCRIPTS]
    return sorted((ROOT / room).rglob("*.py"))


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


def faults(room: Room, path: str, source: str) -> list[str]:
    """Return one line for every import or file access of a source that its room does not allow."""

    def opened(name: str, doors: tuple[str, ...]) -> bool:
        return any(name == door or name.startswith(f"{door}.") for door in doors)

    tree = ast.parse(source)
    allowed = (*room.imports, *room.more.get(path, ()))
    found = []
    for line, name in imports_in(tree):
        standard = name.split(".")[0] in sys.stdlib_module_names
        if opened(name, room.closed) if standard else not opened(name, allowed):
            found.append(f"{path}:{line} imports {name}")
    if not room.touches_files:
        found += [f"{path}:{line} opens a file" for line in opens_files_in(tree)]
    return found


@pytest.mark.parametrize("name", ROOMS)
def test_imports_run_one_way(name: str) -> None:
    files = files_of(name)
    assert files, f"the room {name} is empty"
    found = [
        fault
        for file in files
        for fault in faults(ROOMS[name], str(file.relative_to(ROOT)), file.read_text("utf-8"))
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("room", "path", "line"),
    [
        ("envs", "envs/make.py", "import torch"),
        ("envs", "envs/make.py", "def f():\n    from policies.extractor import AttentionExtractor"),
        ("envs", "envs/make.py", "text = open('x').read()"),
        ("envs", "envs/make.py", "folder.joinpath('x').write_text('y')"),
        ("policies", "policies/extractor.py", "torch.save(self.state_dict(), path)"),
        ("envs", "envs/make.py", "import importlib\nimportlib.import_module('torch.nn')"),
        ("policies", "policies/attention/heads.py", "from stable_baselines3 import PPO"),
        ("policies", "policies/tap.py", "from stable_baselines3 import PPO"),
        ("policies", "policies/attention/heads.py", "from envs.make import make_env"),
        ("policies", "policies/attention/heads.py", "from .tap import AttentionTap"),
        ("recording", "recording/overlay.py", "import torch"),
        ("recording", "recording/overlay.py", "from policies.tap import AttentionMap"),
        ("recording", "recording/recorder.py", "from stable_baselines3 import PPO"),
        ("recording", "recording/recorder.py", "from envs.make import make_env"),
        ("recording", "recording/outputs.py", "from policies.tap import AttentionMap"),
        ("recording", "recording/recorder.py", "from agents.training import train"),
        ("agents", "agents/training.py", "import train"),
        ("scripts", "train.py", "import torch"),
    ],
)
def test_an_arrow_that_points_backward_is_found(room: str, path: str, line: str) -> None:
    assert faults(ROOMS[room], path, line)


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
    )


SILENT_IMPORT = """
import importlib, os, random, sys, warnings
import gymnasium, numpy, torch, stable_baselines3, PIL.Image, rich, tqdm, tyro, yaml
import matplotlib.pyplot, torch.utils.tensorboard

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


@pytest.mark.parametrize("room", ["envs", "policies", "recording", "agents", "scripts"])
def test_importing_a_room_does_nothing(room: str) -> None:
    modules = [
        ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for file in files_of(room)
        if "adapters" not in file.parts  # imported by make_env, with the packages they adapt
    ]
    code = f"import sys; sys.argv = ['', {' '.join(modules)!r}]\n{SILENT_IMPORT}"
    result = run_python(code)
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""
    assert result.stderr == ""


@pytest.mark.parametrize(
    "module", ["envs", "envs.make", "envs.places", "train", "evaluate", "replay"]
)
def test_worlds_and_scripts_start_without_torch(module: str) -> None:
    result = run_python(f"import {module}, sys; sys.exit('torch' in sys.modules)")
    assert result.returncode == 0, result.stderr or f"importing {module} imports torch"


def test_a_recording_is_read_and_drawn_without_torch_or_a_model() -> None:
    watching = [
        f"recording.{file.stem}"
        for file in files_of("recording")
        if file.parent.name == "recording"
        and str(file.relative_to(ROOT)) not in ROOMS["recording"].more
        and file.stem != "__init__"
    ]
    assert {"recording.format", "recording.overlay", "recording.video"} <= set(watching)
    code = f"""
import sys
for name in ("torch", "stable_baselines3", "policies", "agents"):
    sys.modules[name] = None
import recording, {", ".join(watching)}
"""
    result = run_python(code)
    assert result.returncode == 0, result.stderr
