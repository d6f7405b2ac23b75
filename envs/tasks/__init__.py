"""Small worlds that are about attention: remember a cue, compare objects. numpy alone, and fast."""

from envs.tasks.collect import Collect
from envs.tasks.cue_recall import CueRecall
from envs.tasks.ids import register

__all__ = ["Collect", "CueRecall", "register"]
