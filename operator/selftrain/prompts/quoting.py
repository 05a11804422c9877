"""Keeping values from being taken for parts of the prompt that they stand in."""

import re
from dataclasses import dataclass

PLACEHOLDER = re.compile(r"\{\{([A-Za-z_]+)\}\}")
MARKER = re.compile(r"[\[<][^\[\]<>\n]+[\]>]")
"""A line of its own in brackets: [The End of Assistant A's Answer], </answer>."""
QUOTE = "> "


@dataclass(frozen=True)
class Structure:
    """What shows a reader of the prompt where its parts begin and end."""

    markers: re.Pattern[str] | None
    """Lines in brackets, wherever they occur in a value."""
    leads: re.Pattern[str] | None
    """What stands before a placeholder in its line ("Answer A:"), at the beginning of a line."""

    @classmethod
    def of(cls, template: str) -> "Structure":
        """The structure of a template's text."""
        lines = [line.strip() for line in template.splitlines()]
        markers = {line for line in lines if MARKER.fullmatch(line)}
        leads = {match.string[: match.start()].strip() for line in lines if (match := PLACEHOLDER.search(line))}
        return cls(_any_of(markers, "{}"), _any_of(leads - {""}, r"^[ \t]*{}"))

    def quoted(self, value: str) -> str:
        """The value with parentheses instead of a marker's brackets, and with a quote sign before a line that begins like a part."""
        if self.markers:
            value = self.markers.sub(lambda match: f"({match[0][1:-1]})", value)
        return self.leads.sub(lambda match: QUOTE + match[0], value) if self.leads else value


def _any_of(texts: set[str], form: str) -> re.Pattern[str] | None:
    if not texts:
        return None
    longest_first = sorted(texts, key=lambda text: (-len(text), text))
    return re.compile(form.format("(?:" + "|".join(map(re.escape, longest_first)) + ")"), re.IGNORECASE | re.MULTILINE)
