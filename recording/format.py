"""The files of a recording.

    FOLDER/recording.json                  the header: what was recorded, and what the numbers mean
    FOLDER/episode_0000/episode.json       seed; at the end steps, return, sha256 per chunk
    FOLDER/episode_0000/chunk_00000.npz    64 steps
    FOLDER/episode_0000/final.npz          the observation and frame that the last action led to

Everything is JSON or a numpy array without pickles. `recording.writer` writes it and
`recording.reader` reads it; neither needs torch, nor the model that was recorded.

Recordings of earlier schemas are read as well. In schema 1 all maps were over tokens and normalized
over them; schema 2 had other names for two fields of a map, see `map_spec.EARLIER_FIELDS`; in those
before schema 4 there is no evidence, and at least one map.
"""

FORMAT = "attention recording"
SCHEMA = 4
READABLE_SCHEMAS = (1, 2, 3, 4)
HEADER_FILE = "recording.json"
EPISODE_FILE = "episode.json"
FINAL_FILE = "final.npz"
CHUNK_STEPS = 64
EARLY_STEPS = 32
"""A chunk that is still growing is on the disk when it has so many steps: a kill loses no more."""
