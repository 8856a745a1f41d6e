"""The waveform store: one folder of int16 shards, an index and a manifest.

Rows stand in the order of the sorted ids; a record that failed keeps its row, with its reason in
the index. A shard is the unit of work, of retry and of resume.
"""

from acsbench.store.layout import SCALE, SHARD_SIZE, Failures, shard_files
from acsbench.store.reading import WaveformStore
from acsbench.store.writing import (
    encode,
    finish_store,
    is_store_file,
    remove_leftovers,
    shard_failures,
    write_failures,
    write_shard,
)

__all__ = [
    "SCALE",
    "SHARD_SIZE",
    "Failures",
    "WaveformStore",
    "encode",
    "finish_store",
    "is_store_file",
    "remove_leftovers",
    "shard_failures",
    "shard_files",
    "write_failures",
    "write_shard",
]
