"""Rows of JSON lines that people bring: read one by one, each mistake told with its line."""

import json
import sys
from codecs import BOM_UTF8
from collections.abc import Callable, Hashable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from selftrain.api.conditions import Reason
from selftrain.api.errors import UserError

FIX = "correct the line; `selftrain score --help` shows the rows of each benchmark"

OWN = "Value error, "
"""What pydantic puts before messages that are not its own."""


class Row(BaseModel):
    """A row; columns that nobody asked for are ignored, since people bring files made for something else."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False)


R = TypeVar("R", bound=Row)


def read_rows(path: Path, kind: type[R], key: Callable[[R], Hashable] | None = None) -> list[R]:
    """All rows of a file ("-" is standard input). With a key, no two rows may share it."""
    with _open(path) as file:
        rows = list(_rows(file, str(path), kind, key))
    if not rows:
        message = f"{path} has no rows"
        raise bad(message, "give at least one row of JSON")
    return rows


def lines_of(file: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Lines with their numbers. A byte order mark is no part of the first one: some editors and spreadsheets write it."""
    for number, line in enumerate(file, start=1):
        yield number, line.removeprefix(BOM_UTF8) if number == 1 else line


def _open(path: Path) -> BinaryIO:
    if str(path) == "-":
        return open(sys.stdin.fileno(), "rb", closefd=False)
    try:
        return path.open("rb")
    except OSError as error:
        raise UserError(Reason.BENCHMARK_NOT_FOUND, f"cannot read {path}: {error.strerror}", "name a file of JSON lines") from error


def _rows(file: Iterable[bytes], name: str, kind: type[R], key: Callable[[R], Hashable] | None) -> Iterator[R]:
    seen: dict[Hashable, int] = {}
    for number, line in lines_of(file):
        if not line.strip():
            continue
        row = _row(line, kind, f"{name}, line {number}")
        if key is not None and (first := seen.setdefault(key(row), number)) != number:
            message = f"{name}, line {number}: the same item is in line {first}"
            raise bad(message)
        yield row


def _row(line: bytes, kind: type[R], place: str) -> R:
    """One row."""
    try:
        return kind.model_validate_json(line)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in found["loc"])
        message = f"{place}: {where + ': ' if where else ''}{found['msg'].removeprefix(OWN)}"
        raise bad(message) from error


def bad(message: str, fix: str = FIX) -> UserError:
    """What is wrong with the rows."""
    return UserError(Reason.BENCHMARK_INVALID, message, fix)


def say(content: object) -> None:
    """One JSON document on standard output, in ASCII, which every terminal and locale can write."""
    print(json.dumps(content, allow_nan=False))
