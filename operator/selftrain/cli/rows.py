"""Rows of JSON lines that people bring: read one by one, each mistake told with its line."""

import json
import sys
from collections.abc import Callable, Hashable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from selftrain.api.conditions import Reason
from selftrain.api.errors import UserError

FIX = "correct the line; `selftrain score --help` shows the rows of each benchmark"


class Row(BaseModel):
    """A row; columns that nobody asked for are ignored, since people bring files made for something else."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False)


R = TypeVar("R", bound=Row)


def read_rows(path: Path, kind: type[R], key: Callable[[R], Hashable] | None = None) -> list[R]:
    """All rows of a file ("-" is standard input). With a key, no two rows may share it."""
    with open(sys.stdin.fileno() if str(path) == "-" else path, "rb", closefd=str(path) != "-") as file:
        rows = list(_rows(file, str(path), kind, key))
    if not rows:
        message = f"{path} has no rows"
        raise bad(message)
    return rows


def _rows(lines: Iterable[bytes], name: str, kind: type[R], key: Callable[[R], Hashable] | None) -> Iterator[R]:
    seen: dict[Hashable, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        row = read_row(line, kind, f"{name}, line {number}")
        if key is not None and (first := seen.setdefault(key(row), number)) != number:
            message = f"{name}, line {number}: the same item is in line {first}"
            raise bad(message)
        yield row


def read_row(line: bytes, kind: type[R], place: str) -> R:
    """One row."""
    try:
        return kind.model_validate_json(line)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in found["loc"])
        message = f"{place}: {where + ': ' if where else ''}{found['msg']}"
        raise bad(message) from error


def bad(message: str) -> UserError:
    """What is wrong with the file."""
    return UserError(Reason.BENCHMARK_INVALID, message, FIX)


def say(content: object) -> None:
    """One JSON document on standard output."""
    print(json.dumps(content, ensure_ascii=False))
