"""Replaying a run that was really trained, as a library and as a person calls it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from attention_agents.agents.cli.main import main
from attention_agents.agents.config.run_config import TrainConfig
from attention_agents.agents.evaluation.evaluate import evaluate
from attention_agents.agents.replay.render_recording import draw_recording
from attention_agents.agents.replay.replay import replay
from attention_agents.agents.rollouts.seeds import SEED
from attention_agents.agents.runs.record_run import record_run
from attention_agents.agents.training.train import train
from attention_agents.recording.reader import open_recording

ROOT = Path(__file__).parents[3]


def trained(folder: Path, **options: object) -> Path:
    small = dict(
        encoder="pooled",
        layers=2,
        n_envs=1,
        device="cpu",
        width=12,
        heads=3,
        eval_freq=0,
        save_freq=0,
        progress=False,
    )
    return train(TrainConfig(n_timesteps=64, log_folder=str(folder), **(small | options)))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("replay")
    return trained(
        folder, env="CartPole-v1", normalize=True, hyperparams={"n_steps": 32, "batch_size": 32}
    )


@pytest.fixture(scope="module")
def seen(run: Path) -> Path:
    return record_run(run, episodes=2, seed=7, out=run.parent / "seen")


def call(*words: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "replay.py", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=cwd,
    )


def test_a_person_replays_a_run(run: Path) -> None:
    result = call(run, "--episodes", "2", "--seed", "3")
    assert result.returncode == 0, result.stderr
    folder = run / "recordings" / "recording_1"
    lines = result.stdout.splitlines()
    *summaries, recording, first, first_sheet, second, second_sheet, page = lines
    assert [line.split(",")[0].split(":")[1].split()[:2] for line in summaries] == [
        ["seed", "3"],
        ["seed", "4"],
    ]
    assert Path(recording) == folder
    assert [Path(each).name for each in (first, first_sheet, second, second_sheet)] == [
        "episode_0000.mp4",
        "episode_0000.png",
        "episode_0001.mp4",
        "episode_0001.png",
    ]
    assert Path(first).stat().st_size > 1000
    assert Path(page) == folder / "replay.html" and "<script>" in Path(page).read_text("utf-8")
    with Image.open(first_sheet) as sheet:
        assert sheet.width == 1402
    read = open_recording(folder)
    assert read.complete
    assert read.header.run == str(run)
    assert read.header.action_names == ("push left", "push right")


@pytest.mark.parametrize("stochastic", [False, True])
def test_a_replay_shows_the_episodes_of_the_evaluation(
    run: Path, tmp_path: Path, stochastic
) -> None:
    folder = record_run(run, episodes=3, seed=20, stochastic=stochastic, out=tmp_path / "seen")
    report = evaluate(run, episodes=3, seed=20, stochastic=stochastic, random_policy=False)
    played = [(e.seed, len(e), float(e.rewards.sum())) for e in open_recording(folder).episodes]
    assert played == [(e.seed, e.length, e.episode_return) for e in report.agent.episodes]


def test_the_recorded_observation_is_raw_and_the_judgement_of_the_normalized(
    run: Path, seen: Path
) -> None:
    from attention_agents.agents.runs.checkpoint import load_checkpoint

    loaded = load_checkpoint(run / "final", "cpu")
    assert loaded.normalization is not None
    loaded.model.policy.requires_grad_(False)
    for step in list(open_recording(seen).episodes[0])[:3]:
        as_seen = loaded.normalize(step.observation[""])
        assert not np.allclose(as_seen, step.observation[""])
        obs, _ = loaded.model.policy.obs_to_tensor(as_seen)
        probabilities = loaded.model.policy.get_distribution(obs).distribution.probs[0]
        np.testing.assert_allclose(step.distribution, probabilities.detach(), atol=1e-5)
        assert step.value == pytest.approx(float(loaded.model.policy.predict_values(obs)), abs=1e-5)
        assert int(step.action) == int(probabilities.argmax())


def test_a_recording_is_drawn_without_torch(seen: Path, tmp_path: Path) -> None:
    code = """
import sys
sys.argv = ["replay.py", *sys.argv[1:]]
from attention_agents.agents.cli.main import COMMANDS
COMMANDS["replay"].run(sys.argv[1:], "replay.py")
for words in (["--find", "reward > 0"], ["--terminal"]):
    COMMANDS["replay"].run([sys.argv[1], *words], "replay.py")
heavy = {"torch", "stable_baselines3", "attention_agents.policies.encoder"} & set(sys.modules)
assert not heavy, heavy
"""
    words = [str(seen), "--out", str(tmp_path / "drawn"), "--layer", "0", "--head", "2"]
    result = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    assert sorted(path.name for path in (tmp_path / "drawn").iterdir()) == [
        "episode_0000.mp4",
        "episode_0000.png",
        "episode_0001.mp4",
        "episode_0001.png",
        "replay.html",
    ]


def test_a_torn_recording_is_drawn_and_says_so(seen: Path, tmp_path: Path) -> None:
    (tmp_path / "episode_0000").mkdir()
    (tmp_path / "recording.json").write_bytes((seen / "recording.json").read_bytes())
    chunk = "episode_0000/chunk_00000.npz"
    (tmp_path / chunk).write_bytes((seen / chunk).read_bytes())
    replayed = replay(tmp_path, fps=30)
    assert len(replayed.episodes) == 1
    assert len(replayed.notes) == 1 and "was cut short" in replayed.notes[0]
    (tmp_path / chunk).unlink()
    with pytest.raises(ValueError, match="holds no step"):
        replay(tmp_path)


def test_without_ffmpeg_there_are_gifs_and_a_note(seen: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    replayed = replay(seen, episodes=1, out=tmp_path)
    assert [file.name for file in replayed.episodes[0].files] == [
        "episode_0000.gif",
        "episode_0000.png",
    ]
    assert replayed.notes == [
        'no ffmpeg, so the films are GIFs: pip install "attention-agents[video]"'
    ]


def test_without_ffmpeg_a_gif_is_drawn_once(seen: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    replayed = replay(seen, make=("gif", "video"), episodes=1, out=tmp_path)
    assert [file.name for file in replayed.episodes[0].files] == ["episode_0000.gif"]
    assert len(replayed.notes) == 1 and replayed.notes[0].startswith("no ffmpeg")


def test_both_kinds_of_film_are_drawn_without_a_note(seen: Path, tmp_path: Path) -> None:
    replayed = replay(seen, make=("video", "gif"), episodes=1, out=tmp_path)
    names = [file.name for file in replayed.episodes[0].files]
    assert names == ["episode_0000.mp4", "episode_0000.gif"]
    assert all((tmp_path / name).is_file() for name in names)
    assert replayed.notes == []


def test_the_numbers_are_of_the_episodes_that_are_asked_for(seen: Path, tmp_path: Path) -> None:
    replayed = replay(seen, make=("npz",), episodes=1, out=tmp_path)
    with np.load(replayed.files[0]) as file:
        assert file["seed"].tolist() == [7]


def test_what_only_the_played_episodes_show_is_refused_with_where_they_are(run: Path) -> None:
    before = set((run / "recordings").glob("*"))
    with pytest.raises(
        ValueError, match=r"leave 'gallery' out .*\nthe episodes are kept in "
    ) as no:
        replay(run, make=("video", "gallery"))
    (folder,) = set((run / "recordings").glob("*")) - before
    assert str(no.value).endswith(str(folder))
    assert {path.name for path in folder.iterdir()} == {"episode_0000", "recording.json"}
    replayed = replay(folder, make=("sheet",))
    assert [file.name for file in replayed.episodes[0].files] == ["episode_0000.png"]


def test_without_pygame_the_observations_are_drawn_and_the_reason_told(
    run: Path, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setitem(sys.modules, "pygame", None)
    replayed = replay(run, out=tmp_path / "seen")
    assert open_recording(replayed.recording).header.picture == "observation"
    assert [file.is_file() for file in replayed.episodes[0].files] == [True, True]
    (note,) = replayed.notes
    assert note.startswith("no frames of CartPole-v1, its observations are drawn instead: ")
    assert note.endswith('pip install "attention-agents[classic]"')


def test_a_history_is_recorded_and_drawn(tmp_path: Path) -> None:
    run = trained(
        tmp_path, env="CartPole-v1", history=3, hyperparams={"n_steps": 32, "batch_size": 32}
    )
    folder = record_run(run)
    episode = open_recording(folder).episodes[0]
    assert episode.seed == SEED
    assert not episode[0].mask[0] and episode[3].mask.all()
    drawing = draw_recording(open_recording(folder))
    assert [file.name for file in drawing.episodes[0].files] == [
        "episode_0000.mp4",
        "episode_0000.png",
    ]
    assert [file.name for file in drawing.files] == ["replay.html"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{run}", "--layer", "2"], "layer must be 0 to 1, got 2"),
        (["{run}", "--head", "3"], "head must be 0 to 2, got 3"),
        (["{run}", "--episodes", "0"], "episodes must be at least 1, got 0"),
        (["{run}", "--seed", "-1"], "seed must be at least 0, got -1"),
        (["{run}", "--env", "Acrobot-v1"], "this run is of the environment 'CartPole-v1'"),
        (["{seen}", "--env", "CartPole-v1"], "env, seed, stochastic and checkpoint go with a run"),
        (["{run}", "--fps", "0"], "fps must be above 0 and at most 240, got 0.0"),
        (["{run}", "--checkpoint", "bset"], "unknown checkpoint 'bset'"),
        (["{run}", "--device", "abacus"], "abacus"),
        (["{run}", "--out", "{run}"], "is not empty"),
        (["{run}", "--out", "{seen}/recording.json/x"], "cannot write a recording to"),
        (["{seen}", "--layer", "2"], "layer must be 0 to 1, got 2"),
        (["{seen}", "--episodes", "3"], "episodes must be 1 to 2 in this recording, got 3"),
        (["{seen}", "--episodes", "-1"], "episodes must be 1 to 2 in this recording, got -1"),
        (["{seen}", "--stochastic"], "env, seed, stochastic and checkpoint go with a run"),
        (["{seen}", "--out", "{seen}/recording.json"], "cannot make the folder"),
        (["{run}", "--make", "video", "paeg"], "'paeg'; did you mean 'page'?"),
        (["{run}", "--find", "reward >"], "cannot read the question 'reward >'"),
        (["{run}", "--find", "nonsense("], "cannot read the question 'nonsense('"),
        (["{run}", "--find", "nonsense(reward) > 0"], "unknown word 'nonsense'"),
        (["{run}", "--find", "rewrad > 0"], "did you mean 'reward'?"),
        (["{run}", "--find", "value"], "is not answered by yes or no"),
        (["{seen}", "--find", f"reward > 1{'0' * 400}"], "below 1.8e308, got one of 401 digits"),
        (["{run}", "--find", "reward > 0", "--out", "{run}/x"], "out has no use with find"),
        (
            ["{run}", "--terminal", "--out", "{run}/x"],
            "--out has no use with watch: leave it out; it goes with draw, hide, diff",
        ),
        (["{seen}", "--find", "reward > 0", "--fps", "3"], "fps has no use with find"),
        (["{seen}", "--hide", "x0@1", "--layer", "0"], "layer has no use with hide"),
        (["{seen}", "--minari", "a-v0", "--head", "0"], "head has no use with export"),
        (["{seen}", "--hide", "x0@1", "--episodes", "1"], "name it as TOKEN@EPISODE:STEP"),
        (["{run}", "--diff", "{run}/nowhere"], "nowhere"),
        (
            ["{seen}", "--find", "step > 0", "--beside", "{run}"],
            "--beside has no use with find: leave it out; it goes with draw",
        ),
        (
            ["{run}", "--terminal", "--make", "page"],
            "--make has no use with watch: leave it out; it goes with draw",
        ),
        (["{run}", "--beside", "{seen}", "--make", "sheet"], "make 'page' too, got sheet"),
        (["{seen}", "--make", "video", "gallery", "npz"], "leave 'gallery' out of what to make"),
        (["{seen}", "--wat"], "unknown option --wat; see "),
        (["{seen}", "--hed", "1"], "unknown option --hed; did you mean --head?"),
        (["{run}", "--hide", "key"], "name what to hide as TOKEN@STEP"),
        (["{run}", "--find", "reward > 0", "--diff", "x"], "got --find and --diff"),
        (["{seen}", "--find", "rewrad > 0"], "did you mean 'reward'?"),
        (["{seen}", "--hide", "x0@900"], "step must be 0 to"),
        (["{seen}", "--hide", "x0@7:1"], "episode must be 0 to 1, got 7"),
        (["{seen}", "--hide", "x9@1"], "no token is called 'x9'"),
        (["{seen}", "--diff", "{run}/nowhere"], "nowhere"),
        (["{seen}", "--diff", "{run}", "--checkpoint", "bset"], "unknown checkpoint 'bset'"),
        (["{seen}", "--beside", "{run}/nowhere"], "there is no folder"),
        (["{seen}", "--minari", "no id"], "Minari"),
        (["{seen}", "--terminal", "--layer", "9"], "layer must be 0 to 1, got 9"),
        (["{run}/nowhere"], "there is no folder"),
        (["{run}/logs"], "neither a run (no config.json) nor a recording (no recording.json)"),
    ],
)
def test_a_mistake_is_told_in_a_line(run: Path, seen: Path, capsys, words, message) -> None:
    before = sorted(path for path in run.parent.rglob("*"))
    with pytest.raises(SystemExit) as stop:
        main("replay", [word.format(run=run, seen=seen) for word in words])
    said = capsys.readouterr()
    assert stop.value.code == 2
    assert said.out == ""
    assert message in said.err
    assert 1 <= len(said.err.splitlines()) <= 3
    assert sorted(path for path in run.parent.rglob("*")) == before, "something was left behind"


@pytest.mark.parametrize("words", [[], ["a", "b"], ["a", "--episodse", "3"], ["a", "--layer", "x"]])
def test_a_wrong_command_is_told_in_a_line(words: list[str], tmp_path: Path) -> None:
    result = call(*words, cwd=tmp_path)
    assert result.returncode == 2
    assert result.stdout == ""
    assert 1 <= len(result.stderr.splitlines()) <= 3
    assert "Traceback" not in result.stderr


def test_help_answers_at_once() -> None:
    start = time.perf_counter()
    result = call("draw", "--help")
    assert result.returncode == 0
    assert "RUN|RECORDING" in result.stdout
    assert time.perf_counter() - start < 2, "something heavy is imported for --help"
