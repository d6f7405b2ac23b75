"""Small worlds that are about attention: remember a cue, compare objects. numpy alone, and fast."""

from attention_agents.envs.tasks.collect import Collect
from attention_agents.envs.tasks.cue_recall import CueRecall
from attention_agents.envs.tasks.ids import register_tasks

__all__ = ["Collect", "CueRecall", "register_tasks"]
