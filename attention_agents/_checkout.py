"""Where the four rooms lie when the package runs from a checkout: in the folder above it.

A wheel has them inside the package, where Python finds them by itself. Type checkers and editors
do not run import hooks: `python attention_agents/_checkout.py FOLDER` makes links that they follow.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

ROOMS = ("agents", "envs", "policies", "recording")
PACKAGE = Path(__file__).resolve().parent


class CheckoutFinder:
    """Finds `attention_agents.<room>`, and nothing else, beside the package's own folder."""

    @staticmethod
    def find_spec(
        fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, room = fullname.rpartition(".")
        if package != __package__ or room not in ROOMS:
            return None
        folder = PACKAGE.parent / room
        return spec_from_file_location(
            fullname, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )


def install() -> None:
    """Let Python find the rooms, when this is a checkout; in a wheel do nothing.

    The finder goes first: that of an editable install of another checkout knows the rooms too.
    """
    if not (PACKAGE / ROOMS[0]).exists() and CheckoutFinder not in sys.meta_path:
        sys.meta_path.insert(0, CheckoutFinder)


def link(folder: Path) -> None:
    """Make `folder/attention_agents` with its rooms as links, for type checkers and editors."""
    package = folder / PACKAGE.name
    package.mkdir(parents=True, exist_ok=True)
    files = [file for file in PACKAGE.iterdir() if file.suffix == ".py"]
    for target in [*files, *(PACKAGE.parent / room for room in ROOMS)]:
        place = package / target.name
        place.unlink(missing_ok=True)
        place.symlink_to(target, target_is_directory=target.is_dir())


if __name__ == "__main__":
    link(Path(sys.argv[1]))
