"""Tables: the schemas of what stages write, and the writing."""

from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from selftrain.api.instructions import Instructions

PAIRS = pa.schema(
    [
        pa.field("pair_id", pa.string(), nullable=False),
        pa.field("instruction", pa.string(), nullable=False),
        pa.field("chosen", pa.string()),
        pa.field("rejected", pa.string()),
        pa.field("variation", pa.string()),
        pa.field("kind", pa.string()),
        pa.field("dropped", pa.string()),
    ]
)
SPLIT = pa.field("split", pa.string(), nullable=False)
"""The side of the pair's instruction."""
CLASS = [pa.field("category", pa.string()), pa.field("complexity", pa.int32()), pa.field("length", pa.string())]
"""What the generator says of the instruction; empty where it says nothing that can be read, and for labelled pairs."""
ANSWERS = pa.schema(
    [
        pa.field("pair_id", pa.string(), nullable=False),
        pa.field("answer", pa.string()),
        pa.field("dropped", pa.string()),
    ]
)
JUDGMENTS = pa.schema(
    [
        pa.field("pair_id", pa.string(), nullable=False),
        pa.field("order", pa.string(), nullable=False),
        pa.field("sample", pa.int32(), nullable=False),
        pa.field("trace", pa.string(), nullable=False),
        pa.field("verdict", pa.string()),
        pa.field("finish", pa.string(), nullable=False),
        pa.field("tokens", pa.int32(), nullable=False),
        pa.field("seed", pa.int64(), nullable=False),
    ]
)
EXAMPLES = pa.schema(
    [
        pa.field("pair_id", pa.string(), nullable=False),
        pa.field("order", pa.string(), nullable=False),
        pa.field("sample", pa.int32(), nullable=False),
        pa.field("messages", pa.list_(pa.struct([pa.field("role", pa.string()), pa.field("content", pa.string())])), nullable=False),
        pa.field("completion", pa.string(), nullable=False),
        pa.field("rejected", pa.string()),
    ]
)
EVALUATIONS = pa.schema(
    [
        pa.field("benchmark", pa.string(), nullable=False),
        pa.field("pair_id", pa.string(), nullable=False),
        pa.field("subset", pa.string()),
        pa.field("order", pa.string(), nullable=False),
        pa.field("sample", pa.int32(), nullable=False),
        pa.field("trace", pa.string(), nullable=False),
        pa.field("verdict", pa.string()),
        pa.field("finish", pa.string(), nullable=False),
        pa.field("tokens", pa.int32(), nullable=False),
        pa.field("correct", pa.bool_()),
    ]
)
ROW_GROUP = 2048
"""Rows held in memory at once. A judgment has up to some 20 kB, so a group stays below 50 MB."""


def pairs_schema(instructions: Instructions | None) -> pa.Schema:
    """PAIRS and the columns of what the run does beside, so that a run without them writes the same bytes as ever."""
    split = [SPLIT] if instructions and instructions.validation else []
    return pa.schema([*PAIRS, *split, *(CLASS if instructions and instructions.classify else [])])


def write_table(rows: Iterable[Mapping[str, object]], schema: pa.Schema, path: Path) -> int:
    """Write rows as Parquet; returns their number. Equal rows give equal bytes with the same version of pyarrow."""
    remaining, written = iter(rows), 0
    with pq.ParquetWriter(path, schema, compression="zstd", compression_level=3) as writer:
        while group := list(islice(remaining, ROW_GROUP)):
            writer.write_batch(pa.RecordBatch.from_pylist(group, schema=schema))
            written += len(group)
    return written
