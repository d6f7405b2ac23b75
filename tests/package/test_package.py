"""What is installed is one package, and it does not care what lies beside a user's script."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("agents", "envs", "policies", "recording")
OWN = "OWNER = 'the user'\n"
OWN_ENVS = (
    OWN + "import gymnasium\n\n\ndef make_cartpole():\n    return gymnasium.make('CartPole-v1')\n"
)
SOURCES = ("attention_agents", *ROOMS, "pyproject.toml", "setup.py", "README.md", "LICENSE")


def run_python(folder: Path, *words: str, path: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(path), "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    return result


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from a copy of the sources."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        place = ROOT / name
        if place.is_dir():
            shutil.copytree(place, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(place, source / name)
    pip = ("-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation")
    run_python(source, *pip, "-w", str(built), ".", path=source)
    (file,) = built.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def site(wheel, tmp_path_factory) -> Path:
    """A folder of installed packages with nothing but the wheel in it, which cannot be written."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield folder
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)


@pytest.fixture
def clash(tmp_path) -> Path:
    """A user's folder, with rooms and scripts of their own that are called like ours."""
    for room in ROOMS:
        (tmp_path / room).mkdir()
        (tmp_path / room / "__init__.py").write_text(OWN_ENVS if room == "envs" else OWN)
    for script in ("train.py", "evaluate.py"):
        (tmp_path / script).write_text(OWN)
    shutil.copy(Path(__file__).with_name("clash.py"), tmp_path / "clash.py")
    return tmp_path


@pytest.fixture(params=["wheel", "checkout"])
def installed(request, tmp_path_factory) -> Path:
    """A folder of installed packages: the wheel, or a link to the checkout, as if editable."""
    if request.param == "wheel":
        return request.getfixturevalue("site")
    folder = tmp_path_factory.mktemp("editable")
    (folder / "attention_agents").symlink_to(ROOT / "attention_agents")
    return folder


def test_the_wheel_adds_one_name(site: Path) -> None:
    names = {path.name for path in site.iterdir()}
    assert {name for name in names if not name.endswith(".dist-info")} == {"attention_agents"}


def test_the_wheel_holds_every_file_of_the_rooms(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith("attention_agents/")}
    files = [
        path
        for room in ROOMS
        for path in (ROOT / room).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.name != "jsconfig.json"
    ]
    rooms = {f"attention_agents/{path.relative_to(ROOT).as_posix()}" for path in files}
    own = {f"attention_agents/{path.name}" for path in (ROOT / "attention_agents").glob("*.py")}
    assert packed == rooms | own


@pytest.mark.parametrize("start_method", ["spawn", "forkserver"])
@pytest.mark.parametrize("how", ["script", "module"])
def test_folders_named_like_ours(clash: Path, installed: Path, how: str, start_method: str) -> None:
    words = ("clash.py",) if how == "script" else ("-m", "clash")
    result = run_python(clash, *words, start_method, path=installed)
    assert result.stdout == "5 steps with 1 map\n"


def test_folders_named_like_ours_in_a_notebook(clash: Path, installed: Path, monkeypatch) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    cell = nbformat.v4.new_code_cell("import clash\nclash.main('forkserver')")
    monkeypatch.setenv("PYTHONPATH", str(installed))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    notebook = nbformat.v4.new_notebook(cells=[cell])
    client = nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": clash}})
    client.execute()
    texts = [output.text for output in notebook.cells[0].outputs if output.name == "stdout"]
    assert texts == ["5 steps with 1 map\n"]


def test_the_command_works_from_a_wheel_that_cannot_be_written(site: Path, tmp_path: Path) -> None:
    train = ("-m", "attention_agents", "train", "--env", "CartPole-v1", "-n", "64", "--no-progress")
    tiny = ("--heads", "2", "--eval-freq", "0")
    result = run_python(tmp_path, *train, *tiny, "--hyperparams", "n_steps:8", path=site)
    run = tmp_path / result.stdout.splitlines()[-1]
    assert (run / "final").is_dir()
    result = run_python(
        tmp_path, "-m", "attention_agents", "evaluate", str(run), "--episodes", "2", path=site
    )
    assert "mean return" in result.stdout
    result = run_python(tmp_path, "-m", "attention_agents", "replay", str(run), path=site)
    assert Path(tmp_path / result.stdout.splitlines()[-1]).suffix == ".html"


@pytest.mark.parametrize("name", sorted(__import__("attention_agents").__all__))
def test_every_public_name_is_there_and_explained(name: str) -> None:
    import attention_agents

    assert getattr(attention_agents, name).__name__ == name
    assert f"`{name}`" in (attention_agents.__doc__ or "")
