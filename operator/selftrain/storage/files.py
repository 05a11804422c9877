"""The reading of what people bring: rows of Parquet or JSON lines."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from selftrain.api.conditions import REASONS, Reason
from selftrain.api.errors import UserError

READ_BATCH = 256
"""Rows read at once from files we did not write, whose texts may be long."""
PARQUET_MAGIC = b"PAR1"
Placed = tuple[str, Mapping[str, Any]]
"""A row with the words for where it stands."""


def file_rows(path: Path, columns: Sequence[str], reason: Reason, optional: Sequence[str] = ()) -> Iterator[Placed]:
    """Rows with the place they stand at. What the file is, its first bytes say: names lie."""
    with path.open("rb") as file:
        is_parquet = file.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC
    return _parquet_rows(path, columns, optional, reason) if is_parquet else _json_rows(path, reason)


def _json_rows(path: Path, reason: Reason) -> Iterator[Placed]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            place = f"{path.name}, line {number}"
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise invalid(reason, f"{place}: not UTF-8 (byte {error.start + 1} of the line)") from error
            if not text.strip():
                continue
            try:
                row = json.loads(text)
            except (ValueError, RecursionError) as error:
                raise invalid(reason, f"{place}: no JSON ({error})") from error
            if not isinstance(row, dict):
                raise invalid(reason, f"{place}: no JSON object")
            yield place, row


def _parquet_rows(path: Path, columns: Sequence[str], optional: Sequence[str], reason: Reason) -> Iterator[Placed]:
    number = 0
    try:
        with pq.ParquetFile(path) as file:
            present = file.schema_arrow.names
            missing = [column for column in columns if column not in present]
            if missing:
                raise invalid(reason, f"{path.name} has no column {missing[0]}, only {', '.join(present[:20])}")
            wanted = [*columns, *(column for column in optional if column in present)]
            for batch in file.iter_batches(batch_size=READ_BATCH, columns=wanted):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{path.name}, row {number}", row
    except UnicodeDecodeError as error:
        raise invalid(reason, f"{path.name}, after row {number}: not UTF-8") from error
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the disk; without a number it is of the decoder
        raise invalid(reason, f"{path.name}, after row {number}: cannot be read as Parquet ({error})") from error


def utf8(text: str, place: str, reason: Reason) -> bytes:
    """The text's bytes. JSON can spell half a character (a lone surrogate), which no file or tokenizer can hold."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise invalid(reason, f"{place}: holds half a character ({text[error.start]!r})") from error


def invalid(reason: Reason, message: str) -> UserError:
    """What is wrong with a file that somebody brought."""
    return UserError(reason, message, REASONS[reason][1])
