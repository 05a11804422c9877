"""Keeping values from being taken for parts of the prompt that they stand in, or for verdicts about it.

What counts as alike is in `reading`. Not covered: parts that only signs or one or two letters set off (```, ---, a line "B"), since
ordinary texts have those too; words between two placeholders of a line, unless in brackets; and parts in a value's own wording.
What a text asks of the judge is still read by it.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from selftrain.prompts.reading import PLAIN, VISIBLE, View

PLACEHOLDER = re.compile(r"\{\{([A-Za-z_]+)\}\}")
MARKER = re.compile(r"\[[^\[\]<>]+\]|<[^\[\]<>]+>")
INDEX = re.compile(r"""(?<=[\w)\]])\[(['"])\w+\1\]""", re.ASCII)
"""row['answer'] in a program is none of the parts, even if one is called [Answer]."""
PARENTHESES = {"[": "(", "<": "(", "]": ")", ">": ")"}
QUOTE = "> "
WORD = 3
"""Letters and digits of the shortest word that can tell a part by itself; A, 1. and <b> are everywhere."""
PHRASE = 4
"""Words of a line that nobody writes by chance."""


class Line(NamedTuple):
    """A line of a template that has letters or placeholders."""

    text: str
    pieces: list[str]
    """What stands before, between and after the placeholders, plain; the whole line if it has none."""

    @property
    def begins_with_value(self) -> bool:
        return len(self.pieces) > 1 and not self.pieces[0]

    @property
    def ends_in_value(self) -> bool:
        return len(self.pieces) > 1 and not self.pieces[-1]


NOTHING = Line("", [""])


@dataclass(frozen=True)
class Structure:
    """What shows a reader of the prompt where its parts begin and end, and what is read as a verdict."""

    markers: re.Pattern[str] | None
    """Pieces in brackets, wherever they occur in a value, plain: [The End of Assistant A's Answer], </answer>."""
    leads: tuple[str, ...]
    """What the template's lines begin with, at the beginning of a value's line, plain: "Answer A:", "### Answer A"."""
    verdicts: re.Pattern[str] | None
    """[[A]], wherever it can be seen in a value."""

    @classmethod
    def of(cls, texts: Iterable[str], verdicts: Collection[str]) -> "Structure":
        """The structure of a template's messages. Their answers are read for these verdicts."""
        messages = [_lines(text) for text in texts]
        markers = {marker for lines in messages for line in lines for piece in line.pieces for marker in _markers(piece)}
        leads = {lead for lines in messages for lead in _leads(lines)}
        return cls(_any_of(markers), tuple(sorted(leads)), _any_of(f"[[{verdict}]]" for verdict in verdicts))

    def quoted(self, value: str) -> str:
        """The value with parentheses for the brackets of markers and verdicts, and a quote sign before lines that begin like a part."""
        view, chars = View(value, PLAIN), list(value)
        for place in [*_brackets(self.markers, view), *_brackets(self.verdicts, View(value, VISIBLE))]:
            chars[place] = "".join(PARENTHESES.get(char, char) for char in PLAIN[ord(value[place])])
        return "".join(self._quoted_lines(view, "".join(chars)))

    def _quoted_lines(self, view: View, shown: str) -> Iterator[str]:
        start = 0
        for line, own in zip(shown.splitlines(keepends=True), view.text.splitlines(keepends=True), strict=True):
            size = len(own.translate(PLAIN))
            yield QUOTE + line if size and self._begins(view, start) else line
            start += size

    def _begins(self, view: View, start: int) -> bool:
        """Whether one of the leads stands here, and not just the beginning of a longer word. It may run on in the next line."""
        return view.seen.startswith(self.leads, start) and any(
            view.seen.startswith(lead, start) and not (lead[-1].isalnum() and view.after(start + len(lead) - 1).isalnum())
            for lead in self.leads
        )


def _brackets(pattern: re.Pattern[str] | None, view: View) -> Iterator[int]:
    """Where the text has brackets to replace."""
    for match in pattern.finditer(view.seen) if pattern else ():
        places = [view.places[at] for at in range(*match.span()) if view.seen[at] in PARENTHESES]
        if not INDEX.fullmatch(view.text, places[0], places[-1] + 1):
            yield from places


def _lines(text: str) -> list[Line]:
    lines = [Line(line, [piece.translate(PLAIN) for piece in PLACEHOLDER.split(line)[::2]]) for line in text.splitlines()]
    return [line for line in lines if len(line.pieces) > 1 or _letters(line.pieces[0])]


def _markers(piece: str) -> Iterator[str]:
    """The bracketed parts of a piece. Square brackets may be imitated by angle ones; the reverse would be f"{answer}" or x[answer]."""
    for marker in MARKER.findall(piece):
        if marker == piece or _letters(marker) >= WORD:
            yield from (marker, f"<{marker[1:-1]}>")


def _leads(lines: list[Line]) -> Iterator[str]:
    """What stands around placeholders, in their line or right above and below, headings, and lines too long to be written by chance."""
    around = [NOTHING, *lines, NOTHING]
    for above, line, below in zip(around, lines, around[2:], strict=False):
        beside = len(line.pieces) > 1 or above.ends_in_value or below.begins_with_value
        if beside or line.text.lstrip().startswith("#") or len(line.text.split()) >= PHRASE:
            for lead in (piece.rstrip("]>") for piece in line.pieces):  # a bracket that is never closed is read as closed
                if _letters(lead) >= (WORD if lead[-1:].isalnum() else 1):
                    yield lead


def _letters(text: str) -> int:
    """Letters and digits, 0 if there are digits alone."""
    return sum(map(str.isalnum, text)) if any(map(str.isalpha, text)) else 0


def _any_of(texts: Iterable[str]) -> re.Pattern[str] | None:
    found = sorted(set(texts))
    return re.compile("|".join(map(re.escape, found))) if found else None
