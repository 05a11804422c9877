"""Any file of pairs judged in both orders: accuracy by subset, strict, by order, with the order bias beside them."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from selftrain.method.benchmarks.score import Score, Scored, mean, strict

NAME = "pairs"
SWAPPED = {"A": "B", "B": "A"}


class Row(NamedTuple):
    """One pair. `label` is right in the first order; verdicts are as given in their order, None was not parsed."""

    id: str
    subset: str
    label: str
    verdicts: tuple[str | None, str | None]

    @property
    def right(self) -> tuple[bool, bool]:
        """Whether each order was decided right."""
        first, second = self.verdicts
        return first == self.label, second == SWAPPED[self.label]


def score(rows: Iterable[Row]) -> Scored:
    """All numbers by subset and overall. A missing verdict is wrong."""
    pairs = list(rows)
    subsets = sorted({row.subset for row in pairs})
    parts = {subset: numbers([row for row in pairs if row.subset == subset]) for subset in subsets}
    return Scored(NAME, accuracy(pairs), len(pairs), parts, numbers(pairs))


def accuracy(rows: list[Row]) -> Score:
    """Share of right verdicts. The two orders of a pair are no independent witnesses, so the interval counts pairs."""
    return mean([sum(row.right) / 2 for row in rows])


def numbers(rows: list[Row]) -> dict[str, Any]:
    """Shares of one group of pairs."""
    verdicts = [verdict for row in rows for verdict in row.verdicts]
    right = accuracy(rows)
    return {
        "accuracy": right.value,
        "count": right.count,
        "interval": list(right.interval),
        **strict([all(row.right) for row in rows]),
        "first_order": mean([row.right[0] for row in rows]).value,
        "swapped_order": mean([row.right[1] for row in rows]).value,
        "a_share": sum(verdict == "A" for verdict in verdicts) / len(verdicts),
        "unparsed": sum(verdict is None for verdict in verdicts) / len(verdicts),
    }
