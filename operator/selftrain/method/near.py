"""Near duplicates: texts that share most of their sequences of words, found by MinHash with banding.

The smallest of all hashes of a set's members is the same for two sets with a probability of their Jaccard similarity (Broder 1997).
112 such numbers of a text are cut into bands, and two texts of which a whole band is equal are taken for near duplicates. Sequences of
5 words and 14 bands of 8 are FineWeb's choice (arXiv 2406.17557); other numbers of bands move the similarity at which texts are told.
"""

import re
from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from selftrain.method.words import UNSPACED

SEQUENCE = 5
HASHES = 112
CHUNK = 1024
"""Sequences hashed at once: about 1 MB, whatever the length of a text."""
WORD = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+|[^\w\s]")
"""Signs are words too: "5 + 3" and "5 - 3" are different tasks."""
Hashes = npt.NDArray[np.uint64]


class Near:
    """Remembers texts, and tells those that are much like an earlier one.

    Takes about 90 bytes of memory a band and remembered text, 1.2 kB with 14 bands, whatever its length.
    """

    def __init__(self, similarity: float) -> None:
        self._bands = bands_of(similarity)
        self._seen: set[int] = set()

    def add(self, text: str) -> bool:
        """Remember a text; False, and it is not remembered, if it is a near duplicate of one that is."""
        bands = set(_bands(signature(text), self._bands))
        if not self._seen.isdisjoint(bands):
            return False
        self._seen |= bands
        return True


def bands_of(similarity: float) -> int:
    """The number of bands with which texts of about this similarity are told from less similar ones.

    With b bands of r hashes, texts of similarity s are found with a probability of 1 - (1 - s^r)^b, whose steepest rise is
    near (1/b)^(1/r).
    """
    return min(range(1, HASHES + 1), key=lambda bands: abs((1 / bands) ** (1 / (HASHES // bands)) - similarity))


def signature(text: str) -> Hashes:
    """The smallest of each of 112 hashes over the text's sequences of words."""
    hashes = np.array([_hash(sequence.encode(errors="surrogatepass")) for sequence in sequences(text)], np.uint64)
    smallest = np.full(HASHES, np.iinfo(np.uint64).max, np.uint64)
    for start in range(0, len(hashes), CHUNK):
        smallest = np.minimum(smallest, (FACTORS * hashes[start : start + CHUNK, None] + OFFSETS).min(axis=0))
    return smallest


def sequences(text: str) -> set[str]:
    """The sequences of 5 words in a text, without case and spacing; all its words if there are fewer."""
    words = WORD.findall(text.casefold())
    return {" ".join(words[start : start + SEQUENCE]) for start in range(max(1, len(words) - SEQUENCE + 1))}


def _bands(smallest: Hashes, bands: int) -> Iterable[int]:
    rows = HASHES // bands
    return (_hash(bytes([band]) + smallest[band * rows : (band + 1) * rows].tobytes()) for band in range(bands))


def _hash(data: bytes) -> int:
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "big")


# The hashes are one hash times an odd number plus another number, modulo 2^64.
FACTORS = np.array([_hash(f"factor {number}".encode()) | 1 for number in range(HASHES)], np.uint64)
OFFSETS = np.array([_hash(f"offset {number}".encode()) for number in range(HASHES)], np.uint64)
