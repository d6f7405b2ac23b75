"""Rendering where there is no screen."""

from __future__ import annotations

import ctypes.util
import os
import sys


def prepare_headless() -> None:
    """Let pygame and MuJoCo draw into memory, where no display is set and nothing else was chosen.

    Sets only variables that are unset, and must run before pygame or MuJoCo open a context.
    """
    if not sys.platform.startswith("linux"):
        return
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    for backend, library in (("egl", "EGL"), ("osmesa", "OSMesa")):
        if "MUJOCO_GL" not in os.environ and ctypes.util.find_library(library):
            os.environ["MUJOCO_GL"] = backend


def mujoco_can_draw() -> bool:
    """Say whether MuJoCo has something to draw with, after `prepare_headless`."""
    chosen = ("DISPLAY", "WAYLAND_DISPLAY", "MUJOCO_GL")
    return not sys.platform.startswith("linux") or any(os.environ.get(name) for name in chosen)
