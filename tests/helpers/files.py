"""Files as people bring them: JSON lines and arrays, packed or not, and Parquet."""

import gzip
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

Row = dict[str, Any]


def as_lines(path: Path, rows: Iterable[Row]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def as_packed_lines(path: Path, rows: Iterable[Row]) -> Path:
    path.write_bytes(gzip.compress(as_lines(path, rows).read_bytes()))
    return path


def as_array(path: Path, rows: Iterable[Row]) -> Path:
    path.write_text(json.dumps(list(rows), indent=4), encoding="utf-8")
    return path


def as_parquet(path: Path, rows: Iterable[Row]) -> Path:
    pq.write_table(pa.Table.from_pylist(list(rows)), path)
    return path


WRITERS = pytest.mark.parametrize("write", [as_lines, as_packed_lines, as_array, as_parquet])
Writer = Callable[[Path, Iterable[Row]], Path]
