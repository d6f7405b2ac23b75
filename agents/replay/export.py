"""Export a recording to the formats of other projects."""

from __future__ import annotations

from attention_agents.agents.replay.options import ExportOptions, TextOutput
from attention_agents.agents.replay.source import open_or_record
from attention_agents.recording.export import export_minari


def export_dataset(options: ExportOptions) -> TextOutput:
    """Add a recording to the local Minari datasets, and return the dataset's id.

    Raises:
        ValueError: Minari is not installed or refuses the id, or as by `open_or_record`.
    """
    with open_or_record(options) as source:
        count = len(source.episodes)
        dataset_id = export_minari(options.dataset_id, source.recording, episodes=count)
        return TextOutput([dataset_id], source.notes)
