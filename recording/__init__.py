"""What was seen: recordings of attention, their pictures and videos.

Reading and drawing need numpy and Pillow alone; `RecordAttention`, which listens to a policy, is
imported with torch when it is first asked for.
"""

from typing import TYPE_CHECKING, Any

from recording.format import SCHEMA, Header, MapSpec, Step
from recording.reader import Episode, Recording, is_recording, open_recording
from recording.writer import RecordingWriter

if TYPE_CHECKING:
    from recording.recorder import RecordAttention

__all__ = [
    "SCHEMA",
    "Episode",
    "Header",
    "MapSpec",
    "RecordAttention",
    "Recording",
    "RecordingWriter",
    "Step",
    "is_recording",
    "open_recording",
]


def __getattr__(name: str) -> Any:
    if name == "RecordAttention":
        from recording.recorder import RecordAttention

        return RecordAttention
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
