"""Everything that paints: frames with attention, films, sheets, galleries, terminals."""
