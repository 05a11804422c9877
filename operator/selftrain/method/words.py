"""Texts as words: what is compared where the meaning does not count."""

import re
from collections.abc import Iterator, Sequence

# Thai, Lao, Myanmar, Khmer, kana and Chinese characters stand for words of their own: nothing shows where those scripts' words end.
UNSPACED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
WORD = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+")


def words(text: str) -> list[str]:
    """Runs of letters and digits without their case, and characters of scripts that put no spaces between words."""
    return WORD.findall(text.casefold())


def grams(sequence: Sequence[str], n: int) -> Iterator[tuple[str, ...]]:
    """All runs of `n` words."""
    return zip(*(sequence[start:] for start in range(n)), strict=False)
