"""An episode as a page holds it, its attention left out: pictures, actions, numbers by step.

Arrays have a leading axis T and the names that they have in a chunk where they are the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from attention_agents.recording.header import Header
from attention_agents.recording.observation_images import frame_of
from attention_agents.recording.page.packed_arrays import packed
from attention_agents.recording.page.pictures import Encoded, Pictures
from attention_agents.recording.page.scene_layout import Plan, plan_of
from attention_agents.recording.page.score_arrays import score_arrays, score_facts
from attention_agents.recording.reader import Episode
from attention_agents.recording.rendering.video import film_rate
from attention_agents.recording.step import Step


@dataclass(frozen=True)
class Seen:
    """What was seen and done in an episode."""

    episode: Episode
    plan: Plan
    numbers: dict[str, np.ndarray]
    """(T, ...) by name."""
    pictures: dict[str, np.ndarray]
    """(T,) numbers of pictures in the pool, -1 where there is none; `frame` is (T + 1,) where the
    picture that the last action led to was recorded."""

    def facts(self) -> dict[str, Any]:
        """Return what a page says of the episode."""
        return {
            "name": self.episode.folder.name,
            "steps": len(self.episode),
            "seed": self.episode.seed,
            "missing": self.episode.missing,
            "rate": film_rate(self.episode),
            "plan": self.plan.to_json(),
            **score_facts(self.episode),
        }

    def arrays(self, encoded: Encoded | None) -> dict[str, Any]:
        """Return the packed arrays, with pictures by their place on the page.

        Args:
            encoded: the pictures of the page; None while they are not chosen.
        """
        places = {
            name: numbers if encoded is None else encoded.places(numbers)
            for name, numbers in self.pictures.items()
        }
        arrays = {name: packed(array) for name, array in (self.numbers | places).items()}
        return arrays | score_arrays(self.episode)


def read_episode(episode: Episode, pool: Pictures) -> Seen:
    """Read an episode once.

    Args:
        pool: gets the pictures.

    Raises:
        ValueError: a step cannot be read.
    """
    plan = plan_of(episode.header, episode[0])
    numbers: dict[str, list[Any]] = {}
    pictures: dict[str, list[int]] = {}
    for step in episode:
        for name, value in _numbers(step, episode.header, plan).items():
            numbers.setdefault(name, []).append(value)
        for name, picture in _pictures(step, plan).items():
            pictures.setdefault(name, []).append(pool.add(picture))
    final = episode.final
    if final is not None and final.frame is not None:
        pictures["frame"].append(pool.add(final.frame))
    return Seen(
        episode,
        plan,
        {name: np.stack(values) for name, values in numbers.items()},
        {name: np.array(values, np.int32) for name, values in pictures.items()},
    )


def _pictures(step: Step, plan: Plan) -> dict[str, np.ndarray | None]:
    observed = {f"observed_{plan.number(part)}": part.observed(step) for part in plan.pictured}
    return {"frame": step.frame, **observed}


def _numbers(step: Step, header: Header, plan: Plan) -> dict[str, Any]:
    rows = 3 if header.distribution == "gaussian" else 1
    said = np.full((rows, header.action_count), np.nan, np.float32)
    if step.distribution is not None:
        said = np.reshape(step.distribution, said.shape).astype(np.float32)
    kept = {
        "action": np.ravel(step.action).astype(np.float64),
        "distribution": said,
        "value": np.float64(np.nan if step.value is None else step.value),
        "reward": np.float64(step.reward),
        "terminated": step.terminated,
        "truncated": step.truncated,
        "attended": step.attended,
        "present": step.present,
        "boxes": step.boxes.astype(np.float32),
        "ids": np.full(step.num_tokens, -1) if step.places is None else step.places.ids,
    }
    for number, part in enumerate(plan.parts):
        if part.group.words:
            cells = frame_of(part.group, step.observation[part.group.key])
            kept[f"held_{number}"] = cells.reshape(len(part.group), -1)[:, 0].astype(np.int32)
    for part in plan.bars:
        values = np.ravel(step.observation[part.group.key])
        if len(values) == len(part.group):
            kept[f"values_{plan.number(part)}"] = values.astype(np.float64)
    return kept
