"""The tasks of this package, whose spaces say what their tokens are."""

from __future__ import annotations

from collections.abc import Sequence

import gymnasium as gym

from attention_agents.envs.adapters.adapter import Adapter
from attention_agents.envs.ground_truth import find_present_tokens
from attention_agents.envs.tasks import Collect, CueRecall, register_tasks
from attention_agents.envs.tokens.layout import TokenLayout


class TaskAdapter(Adapter):
    """Observation: features in CueRecall, entities in Collect."""

    def register_envs(self) -> None:
        register_tasks()

    def action_names(self, env: gym.Env) -> tuple[str, ...] | None:
        task = env.unwrapped
        if isinstance(task, CueRecall):
            return tuple(f"exit {i}" for i in range(task.cues))
        if isinstance(task, Collect):
            return tuple(f"pick {i}" for i in range(task.stands))
        return None

    def ground_truth_indices(self, env: gym.Env, layout: TokenLayout) -> Sequence[int] | None:
        """Return the step in which the cue was seen, or the stand of the ripest fruit."""
        task = env.unwrapped
        if isinstance(task, CueRecall):
            return cue_tokens(task, layout)
        if isinstance(task, Collect):
            stands = find_present_tokens(layout, lambda group: group.kind == "entities")
            if stands is not None:
                return () if task.target < 0 else (stands.start + task.target,)
        return None


def cue_tokens(task: CueRecall, layout: TokenLayout) -> Sequence[int]:
    """Return the token of a history that is of the step with the cue, or of its cues where each
    number is a token, at the junction; before it, actions mean nothing. Without a history the cue
    is not in sight there."""
    if task.position < task.length:
        return ()
    offset = task.cue_step - task.steps
    for tokens, group in zip(layout.slices, layout.groups, strict=True):
        if group.offsets is None or offset not in group.offsets:
            continue
        if group.kind == "history":
            return (tokens.start + group.offsets.index(offset),)
        names = enumerate(group.names, tokens.start)
        return tuple(i for i, name in names if name.startswith("cue "))
    return ()


ADAPTER = TaskAdapter()
