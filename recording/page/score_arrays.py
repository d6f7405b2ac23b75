"""The effect of removing tokens, as a page holds it: the causal map, and the policy without each
token; and the tokens that matter by the rules of the environment.

Arrays have a leading axis S, the steps that were scored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from attention_agents.recording.page.packed_arrays import packed
from attention_agents.recording.page.text_table import TextTable
from attention_agents.recording.reader import Episode
from attention_agents.recording.scene.actions import action_text

LEFT_OUT = (
    "To save room, what hiding a token does to all actions is left out; the likeliest action and "
    "the value without it are kept."
)


def score_facts(episode: Episode) -> dict[str, Any]:
    """Return what a page needs of the scores of an episode; nothing where there are none."""
    return {} if episode.leave_one_out is None else {"unit": episode.leave_one_out.unit}


def score_arrays(episode: Episode, texts: TextTable) -> dict[str, np.ndarray]:
    """Return the scores of an episode, without distributions; nothing where there are none.

    Args:
        texts: gets the likeliest action without each token, in words.

    Raises:
        ValueError: they are damaged, or of another recording.
    """
    scores = episode.leave_one_out
    if scores is None:
        return {}
    S, N = scores.causal.shape
    actions = scores.action.reshape(S * N, -1)
    hidden = texts.add_all(action_text(episode.header, action) for action in actions)
    arrays = {
        "scored": scores.steps.astype(np.int32),
        "causal": scores.causal.astype(np.float32),
        "hidden_text": hidden.reshape(S, N),
    }
    if scores.value is not None:
        arrays["hidden_value"] = scores.value.astype(np.float32)
    if scores.ground_truth is not None:
        arrays["true"] = scores.ground_truth
    return arrays


def hidden_distributions(episodes: Sequence[Episode]) -> list[dict[str, Any]]:
    """Return for each episode the packed distributions without each token, (S, N, ...)."""
    return [
        {}
        if episode.leave_one_out is None
        else {"hidden_distribution": packed(episode.leave_one_out.distribution.astype(np.float32))}
        for episode in episodes
    ]
