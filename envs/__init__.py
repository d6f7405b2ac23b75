"""Worlds: making environments, what their tokens are, and where these stand on the frame."""

from envs.families import MissingExtraError, family_of
from envs.frames import FrameHistory
from envs.history import History
from envs.layout import TokenGroup, TokenLayout, TokenPlaces
from envs.make import action_names, make_env
from envs.padding import PadSequences
from envs.places import places_of
from envs.space_json import space_from_json, space_to_json
from envs.spaces import TokenBox, layout_of, spec_of, specs_of
from envs.specs import Categories, Cells, Entities, Features, Frames, Patches

__all__ = [
    "Categories",
    "Cells",
    "Entities",
    "Features",
    "FrameHistory",
    "Frames",
    "History",
    "MissingExtraError",
    "PadSequences",
    "Patches",
    "TokenBox",
    "TokenGroup",
    "TokenLayout",
    "TokenPlaces",
    "action_names",
    "family_of",
    "layout_of",
    "make_env",
    "places_of",
    "space_from_json",
    "space_to_json",
    "spec_of",
    "specs_of",
]
