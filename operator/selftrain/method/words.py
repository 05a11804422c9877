"""Texts as words: what is compared where the meaning does not count."""

import re
from collections.abc import Iterator, Sequence

WORD = re.compile(r"\w+")


def words(text: str) -> list[str]:
    """Runs of letters and digits without their case. Scripts that put no spaces between words give one word a clause."""
    return WORD.findall(text.casefold())


def grams(sequence: Sequence[str], n: int) -> Iterator[tuple[str, ...]]:
    """All runs of `n` words."""
    return zip(*(sequence[start:] for start in range(n)), strict=False)
