"""What of a text counts when it is compared as a reader would, who overlooks spacing, emphasis and signs of another script."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from unicodedata import category, normalize

UNSEEN = "MZC"
"""Categories: accents and joiners, spaces and line ends, control and format characters."""
FILLERS = "\u115f\u1160"
"""Letters by category, and invisible."""
SAID = ".,:;!?()"
"""Signs that count. All others are left out: quotes, dashes, emphasis, bullets, slashes."""
COLONS = "\u2236\ua789\u02d0\u0589\u205a"
ANGLES = {"<": "<«‹≪〈⟨⟪❬❮❰", ">": ">»›≫〉⟩⟫❭❯❱"}  # noqa: RUF001
LOW_QUOTES = "‚„"  # noqa: RUF001
CYRILLIC = "АВЕЅІЈКМНОРСТУХавеѕіјкмнорстухһԁԛԝ", "ABESIJKMHOPCTYXabesijkmhopctyxhdqw"
GREEK = "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧαβεηικνορτυχγ", "ABEZHIKMNOPTYXabenikvoptuxy"
LATIN = str.maketrans(*CYRILLIC) | str.maketrans(*GREEK)
"""Letters of Cyrillic and Greek that look Latin."""


class Table(dict[int, str]):
    """For `str.translate`: what stands for a character, found when it is first asked for."""

    def __init__(self, stands_for: Callable[[str], str]) -> None:
        super().__init__()
        self._stands_for = stands_for

    def __missing__(self, code: int) -> str:
        self[code] = self._stands_for(chr(code))
        return self[code]


def visible(char: str) -> str:
    """The character without what cannot be seen, wide and round forms as the usual ones."""
    return "".join(one for one in normalize("NFKD", char) if category(one)[0] not in UNSEEN and one not in FILLERS)


def plain(char: str) -> str:
    """A letter or digit in lower case, a bracket of any shape as [ or <, one of the signs that count, or nothing."""
    return "".join(_plain(one) for one in visible(char).translate(LATIN).casefold())


def _plain(char: str) -> str:
    for angle, shapes in ANGLES.items():
        if char in shapes:
            return angle
    if char.isalnum() or char in SAID:
        return char
    if char in COLONS:
        return ":"
    return {"Ps": "[", "Pe": "]"}.get(category(char), "") if char not in LOW_QUOTES else ""


VISIBLE, PLAIN = Table(visible), Table(plain)


@dataclass(frozen=True)
class View:
    """A text and what counts of it by a table."""

    text: str
    table: Table

    @cached_property
    def seen(self) -> str:
        return self.text.translate(self.table)

    @cached_property
    def places(self) -> list[int]:
        """Where in the text each character of `seen` comes from."""
        return [place for place, char in enumerate(self.text) for _ in self.table[ord(char)]]

    def after(self, at: int) -> str:
        """What follows in the text the character at a place of `seen`; empty at its end."""
        place = self.places[at] + 1
        return self.text[place : place + 1]
