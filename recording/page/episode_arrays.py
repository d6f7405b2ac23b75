"""An episode as a page holds it, its attention left out: pictures, actions, evidence, numbers.

Arrays have a leading axis T and the names that they have in a chunk where they are the same. What
is shown as text is a number of the episode's `texts`, each of which stands there once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from attention_agents.recording.header import Header
from attention_agents.recording.observation_images import select_history_step
from attention_agents.recording.page.evidence_arrays import (
    episode_evidence_facts,
    evidence_arrays,
)
from attention_agents.recording.page.packed_arrays import packed
from attention_agents.recording.page.pictures import Encoded, Pictures
from attention_agents.recording.page.score_arrays import score_arrays, score_facts
from attention_agents.recording.page.text_table import TextTable
from attention_agents.recording.reader import Episode
from attention_agents.recording.scene import actions
from attention_agents.recording.scene.display import MAX_ROWS
from attention_agents.recording.scene.past_objects import PastObject, past_objects
from attention_agents.recording.scene.playback import film_rate
from attention_agents.recording.scene.scene_layout import SceneLayout, layout_of
from attention_agents.recording.step import Step


@dataclass(frozen=True)
class EpisodeArrays:
    """What an episode holds beside its attention."""

    episode: Episode
    layout: SceneLayout
    numbers: dict[str, np.ndarray]
    """(T, ...) by name, and (S, ...) of scored steps."""
    pictures: dict[str, np.ndarray]
    """(T,) numbers of pictures in the pool, -1 where there is none; `frame` is (T + 1,) where the
    picture that the last action led to was recorded."""
    texts: list[str]
    objects: list[str]
    """Names of the objects of past steps, in the order in which they are listed."""

    def facts(self) -> dict[str, Any]:
        """Return what a page needs of the episode beside its arrays, as JSON."""
        return {
            "name": self.episode.folder.name,
            "steps": len(self.episode),
            "seed": self.episode.seed,
            "missing": self.episode.missing,
            "rate": film_rate(self.episode),
            "layout": self.layout.to_json(),
            "texts": self.texts,
            "objects": self.objects,
            **episode_evidence_facts(self.episode, self.layout),
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
        return {name: packed(array) for name, array in (self.numbers | places).items()}


def read_episode(episode: Episode, pool: Pictures) -> EpisodeArrays:
    """Read an episode once.

    Args:
        pool: gets the pictures.

    Raises:
        ValueError: a step cannot be read, or its scores are damaged.
    """
    header, layout, texts = episode.header, layout_of(episode.header, episode[0]), TextTable()
    numbers: dict[str, list[Any]] = {}
    pictures: dict[str, list[int]] = {}
    rows: list[dict[int, PastObject]] = []
    for step in episode:
        arrays = _step_numbers(step, header, layout) | _step_texts(step, header, layout, texts)
        for name, value in arrays.items():
            numbers.setdefault(name, []).append(value)
        for name, picture in _step_pictures(step, layout).items():
            pictures.setdefault(name, []).append(pool.add(picture))
        rows.append(_object_of_tokens(step, layout))
    final = episode.final
    if final is not None and final.frame is not None:
        pictures["frame"].append(pool.add(final.frame))
    objects = sorted({item for row in rows for item in row.values()}, key=lambda item: item.rank)
    stacked = {name: np.stack(values) for name, values in numbers.items()}
    if layout.past_tables:
        stacked["past_object"] = _object_numbers(rows, objects, len(header.layout))
    return EpisodeArrays(
        episode,
        layout,
        stacked | score_arrays(episode, texts) | evidence_arrays(episode, texts),
        {name: np.array(values, np.int32) for name, values in pictures.items()},
        texts.texts,
        [item.name for item in objects],
    )


def _step_pictures(step: Step, layout: SceneLayout) -> dict[str, np.ndarray | None]:
    observed = {
        f"observed_{layout.number(part)}": part.observation_image(step) for part in layout.pictured
    }
    return {"frame": step.frame, **observed}


def _step_numbers(step: Step, header: Header, layout: SceneLayout) -> dict[str, Any]:
    rows = 3 if header.distribution == "gaussian" else 1
    distribution = np.full((rows, header.action_count), np.nan, np.float32)
    if step.distribution is not None:
        distribution = np.reshape(step.distribution, distribution.shape).astype(np.float32)
    chosen = sorted(actions.chosen_choices(header, step.action))
    numbers = {
        "action": np.ravel(step.action).astype(np.float64),
        "chosen": np.isin(np.arange(header.action_count), chosen),
        "distribution": distribution,
        "value": np.float64(np.nan if step.value is None else step.value),
        "reward": np.float64(step.reward),
        "terminated": step.terminated,
        "truncated": step.truncated,
        "attended": step.attended,
        "present": step.present,
        "boxes": layout.boxes(step).astype(np.float32),
        "ids": np.full(step.num_tokens, -1) if step.places is None else step.places.ids,
    }
    if header.action_count > MAX_ROWS:
        choices = actions.shown_choices(header, step.action, step.distribution)
        numbers["shown_choices"] = np.array(choices, np.int32)
    for number, part in enumerate(layout.parts):
        if part.group.words:
            cells = select_history_step(part.group, step.observation[part.group.key])
            categories = cells.reshape(len(part.group), -1)[:, 0]
            numbers[f"category_{number}"] = categories.astype(np.int32)
    for part in layout.bars:
        values = np.ravel(step.observation[part.group.key])
        if len(values) == len(part.group):
            numbers[f"values_{layout.number(part)}"] = values.astype(np.float64)
    return numbers


def _step_texts(
    step: Step, header: Header, layout: SceneLayout, texts: TextTable
) -> dict[str, np.ndarray]:
    """Return the numbers of the texts of a step: its action, the likeliest one, its tokens."""
    likeliest = step.action
    if step.distribution is not None:
        likeliest = actions.likeliest_action(header, step.distribution)
    return {
        "action_text": texts.add_all([actions.action_text(header, step.action)])[0],
        "likeliest_text": texts.add_all([actions.action_text(header, likeliest)])[0],
        "name": texts.add_all(name for part in layout.parts for name in part.names_at(step)),
    }


def _object_of_tokens(step: Step, layout: SceneLayout) -> dict[int, PastObject]:
    """Return which object each token of a table of past steps is."""
    return {
        token: item
        for table in layout.past_tables
        for item, tokens in past_objects(table, step).items()
        for token in tokens.values()
    }


def _object_numbers(
    rows: Iterable[dict[int, PastObject]], objects: list[PastObject], count: int
) -> np.ndarray:
    """Return which object each token is, (T, N) int32; -1 where it is none."""
    number = {item: n for n, item in enumerate(objects)}
    return np.array(
        [[number[row[i]] if i in row else -1 for i in range(count)] for row in rows], np.int32
    )
