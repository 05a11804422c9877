"""Which held-out texts also occur in training data. A judge may know their answers without being able to judge.

A text is found if it has 13 consecutive words in common with any training text, without case and punctuation. Source: Brown et al.
2020, arXiv 2005.14165, appendix C. A shorter instruction is found if it is a whole training instruction. Shorter answers are not
looked for: a training set of any size has "Yes." and "42". Paraphrases are not found either.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from selftrain.api.records import Overlap
from selftrain.method.words import grams, words

RUN = 13


class Texts(NamedTuple):
    """What a judge is shown of a pair, or of an item with more answers."""

    instruction: str
    answers: tuple[str, ...]


def overlaps(held_out: Mapping[str, Iterable[tuple[str, Texts]]], training: Iterable[Texts]) -> dict[str, Overlap]:
    """Counts by benchmark. Each of its pairs says of which item it is: several may show the same texts.

    Memory is that of the benchmarks' runs of words, about 100 bytes each, whatever the training set's size.
    """
    items = {name: list(pairs) for name, pairs in held_out.items()}
    wanted = {key for pairs in items.values() for _, pair in pairs for key in _keys(pair)}
    found = {key for pair in training for key in _keys(pair) if key in wanted}
    return {name: _count(pairs, found) for name, pairs in items.items()}


def _count(pairs: Sequence[tuple[str, Texts]], found: set[int]) -> Overlap:
    return Overlap(
        pairs=len({item for item, _ in pairs}),
        instructions=len({item for item, pair in pairs if any(key in found for key in _instruction(pair))}),
        answers=len({item for item, pair in pairs if any(key in found for key in _answers(pair))}),
    )


def _keys(pair: Texts) -> Iterator[int]:
    yield from _instruction(pair)
    yield from _answers(pair)


def _instruction(pair: Texts) -> Iterator[int]:
    found = words(pair.instruction)
    return map(hash, grams(found, min(RUN, len(found)) or 1))


def _answers(pair: Texts) -> Iterator[int]:
    for answer in pair.answers:
        yield from map(hash, grams(words(answer), RUN))
