"""The reading of what people bring: rows of Parquet, of JSON lines or of a JSON array, the latter two packed with gzip or not."""

import gzip
import json
import re
import zlib
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from selftrain.api.conditions import REASONS, Reason
from selftrain.api.errors import UserError

READ_BATCH = 256
"""Rows read at once from files we did not write, whose texts may be long."""
PARQUET_MAGIC = b"PAR1"
GZIP_MAGIC = b"\x1f\x8b"
DECODER = json.JSONDecoder()
MARK = re.compile(r"\s*([\[,\]])\s*")
"""What stands between the items of an array, with the space around it."""
Placed = tuple[str, Mapping[str, Any]]
"""A row with the words for where it stands."""


def file_rows(path: Path, columns: Sequence[str], reason: Reason, optional: Sequence[str] = ()) -> Iterator[Placed]:
    """Rows with the place they stand at. What the file is, its first bytes say: names lie."""
    with path.open("rb") as file:
        magic = file.read(len(PARQUET_MAGIC))
    if magic == PARQUET_MAGIC:
        return _parquet_rows(path, columns, optional, reason)
    return _json_rows(path, reason, packed=magic.startswith(GZIP_MAGIC))


def _json_rows(path: Path, reason: Reason, *, packed: bool) -> Iterator[Placed]:
    """Rows of JSON lines or of an array. A packed file is unpacked while it is read."""
    try:
        with gzip.open(path) if packed else path.open("rb") as file:
            is_array = file.peek(1).removeprefix(BOM_UTF8).lstrip().startswith(b"[")
            yield from (_array_rows(file.read(), path.name, reason) if is_array else _line_rows(file, path.name, reason))
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise invalid(reason, f"{path.name}: cannot be unpacked ({error})") from error


def _line_rows(file: Iterable[bytes], name: str, reason: Reason) -> Iterator[Placed]:
    for number, line in enumerate(file, start=1):
        place = f"{name}, line {number}"
        with _told(place, reason):
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            row = json.loads(text) if text else None
        if text:
            yield place, _object(row, place, reason)


def _array_rows(content: bytes, name: str, reason: Reason) -> Iterator[Placed]:
    """Rows of one JSON array. Its text is in memory as a whole, its items one by one."""
    with _told(name, reason):
        text = content.decode("utf-8-sig")
    mark, at = _mark(text, 0)
    if text.startswith("]", at):
        mark, at = _mark(text, at)
    number = 0
    while mark != "]":
        number += 1
        place = f"{name}, item {number}"
        with _told(place, reason):
            item, at = DECODER.raw_decode(text, at)
        yield place, _object(item, place, reason)
        mark, at = _mark(text, at)
        if mark not in {",", "]"}:
            raise invalid(reason, f"{place}: neither a comma nor the end of the array stands behind it")
    if at < len(text):
        raise invalid(reason, f"{name}: something stands behind the array")


def _mark(text: str, at: int) -> tuple[str, int]:
    """The sign before or behind an item, and where the text goes on; without a sign, an empty one."""
    found = MARK.match(text, at)
    return (found[1], found.end()) if found else ("", at)


@contextmanager
def _told(place: str, reason: Reason) -> Iterator[None]:
    """What is wrong with a text, told with its place."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise invalid(reason, f"{place}: not UTF-8 (byte {error.start + 1} of it)") from error
    except (ValueError, RecursionError) as error:
        raise invalid(reason, f"{place}: no JSON ({error})") from error


def _object(value: object, place: str, reason: Reason) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise invalid(reason, f"{place}: no JSON object")
    return value


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
