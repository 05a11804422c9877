"""Unlabelled instructions as people bring them: texts, or conversations in a chat format."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from selftrain.api.conditions import Reason
from selftrain.api.errors import UserError
from selftrain.api.instructions import Chat, Instructions
from selftrain.api.records import Drop
from selftrain.method.conversations import instruction_in
from selftrain.method.near import Near
from selftrain.method.pairs import normal
from selftrain.storage.digests import digest
from selftrain.storage.files import file_rows, invalid, utf8
from selftrain.storage.languages import Languages


class Instruction(NamedTuple):
    """One instruction; its id is the hash of its text, so it is the same in every file."""

    id: str
    text: str


def instruction_id(text: bytes) -> str:
    """The id of an instruction with this text, in UTF-8."""
    return digest(text)[:16]


def instruction_form(text: str) -> str:
    """What instructions share that are the same but for case and spacing. To be split apart they would have to say different things."""
    return instruction_id(normal(text).encode())


def scan_instructions(paths: Sequence[Path], source: Instructions, drops: Counter[Drop]) -> Iterator[Instruction]:
    """The first distinct instructions up to the limit, one at a time, from one file after the other.

    `drops` counts what was left out on the way there. Takes about 100 bytes of memory an instruction for telling duplicates, and
    1.2 kB more for near ones, whatever the length of their texts.
    """
    sieve, kept = Sieve(source), 0
    columns = [source.text_field, *(condition.column for condition in source.where)]
    for place, row in chain.from_iterable(file_rows(path, columns, Reason.INSTRUCTIONS_INVALID) for path in paths):
        text = _text(row, source, place)
        if isinstance(text, Drop):
            drops[text] += 1
            continue
        found = Instruction(instruction_id(utf8(text, place, Reason.INSTRUCTIONS_INVALID)), text)
        if reason := sieve.against(found):
            drops[reason] += 1
            continue
        kept += 1
        yield found
        if kept == source.limit:
            return
    if not kept:
        raise _none(source, drops)


class Sieve:
    """What is held against a text, in the order in which it is asked. Remembers the texts before."""

    def __init__(self, source: Instructions) -> None:
        self._seen: set[int] = set()
        self._languages = Languages(source.languages) if source.languages else None
        self._near = Near(float(source.near_duplicates)) if source.near_duplicates else None

    def against(self, found: Instruction) -> Drop | None:
        """Why an instruction is left out; None if it is used."""
        key = int(instruction_form(found.text), 16)
        if key in self._seen:
            return Drop.DUPLICATE
        self._seen.add(key)
        if self._languages and found.text not in self._languages:
            return Drop.LANGUAGE
        if self._near and not self._near.add(found.text):
            return Drop.NEAR_DUPLICATE
        return None


def _text(row: Mapping[str, Any], source: Instructions, place: str) -> str | Drop:
    if not all(_is(row.get(condition.column), condition.equals) for condition in source.where):
        return Drop.FILTERED
    value = row.get(source.text_field)
    if value is None:
        return Drop.NO_TEXT
    if isinstance(value, list) and all(isinstance(turn, Mapping) for turn in value):
        value = instruction_in(value, source.chat or Chat(), source.multi_turn)
    if not isinstance(value, str):
        what = f"{source.text_field} is no text and no conversation but {type(value).__name__}"
        raise invalid(Reason.INSTRUCTIONS_INVALID, f"{place}: {what}")
    return value if isinstance(value, Drop) or value.strip() else Drop.NO_TEXT


def _is(value: object, wanted: str) -> bool:
    """Booleans are spelled as in JSON or as in Python."""
    return str(value).lower() == wanted.lower() if isinstance(value, bool) else str(value) == wanted


def _none(source: Instructions, drops: Mapping[Drop, int]) -> UserError:
    name, rows = source.uri.rpartition("/")[2], sum(drops.values())
    if not rows:
        return invalid(Reason.INSTRUCTIONS_INVALID, f"{name} holds no instruction: it has no rows")
    if drops.keys() <= {Drop.NO_TEXT}:
        return invalid(
            Reason.INSTRUCTIONS_INVALID,
            f"{name} holds no instruction: none of its {rows} rows has text in the field {source.text_field}",
        )
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(drops.items()))
    return invalid(Reason.INSTRUCTIONS_INVALID, f"{name} holds no instruction: all of its {rows} rows were left out ({reasons})")
