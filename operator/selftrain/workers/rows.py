"""Reading rows of an earlier stage's parts, a few at a time."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from selftrain.api.records import Part
from selftrain.storage.commit import fetch_part
from selftrain.storage.protocol import ObjectStore

READ_BATCH = 256


def fetch_all(store: ObjectStore, parts: Sequence[Part], folder: Path) -> list[Path]:
    """All parts on this machine."""
    return [fetch_once(store, part, folder) for part in parts]


def fetch_once(store: ObjectStore, part: Part, folder: Path) -> Path:
    """A part on this machine, fetched and checked if it is not here yet."""
    path = folder / part.sha256
    if not path.exists():
        partial = fetch_part(store, part, path.with_suffix(".partial"))
        partial.rename(path)
    return path


def count_rows(parts: Sequence[Part]) -> int:
    """Rows of all parts, from the manifest alone."""
    return sum(part.rows or 0 for part in parts)


def read_columns(store: ObjectStore, parts: Sequence[Part], folder: Path, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """All rows of the parts, with some of their columns."""
    for part in parts:
        yield from _slice(fetch_once(store, part, folder), 0, part.rows or 0, columns)


def read_rows(store: ObjectStore, parts: Sequence[Part], folder: Path, start: int, stop: int) -> Iterator[dict[str, Any]]:
    """Rows `start` to `stop` of the parts taken as one table. Only parts that hold some of them are fetched."""
    first = 0
    for part in parts:
        last = first + (part.rows or 0)
        if first < stop and start < last:
            yield from _slice(fetch_once(store, part, folder), max(0, start - first), min(stop, last) - first)
        first = last


def _slice(path: Path, start: int, stop: int, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    with pq.ParquetFile(path) as file:
        position = 0
        for batch in file.iter_batches(batch_size=READ_BATCH, columns=columns):
            begin, end = max(0, start - position), min(batch.num_rows, stop - position)
            if begin < end:
                yield from batch.slice(begin, end - begin).to_pylist()
            position += batch.num_rows
