"""selftrain compare: a paired test of two judges' verdicts on the same pairs."""

from pathlib import Path
from typing import Any

from selftrain.cli.rows import bad, read_rows
from selftrain.cli.schemas import PairRow
from selftrain.method.benchmarks import pairs
from selftrain.method.stats import paired

Key = tuple[str, str]


def compare(first: Path, second: Path) -> dict[str, Any]:
    """Wins and losses of the first judge against the second; pairs that only one file has are counted, not compared."""
    ours, theirs = _read(first), _read(second)
    common = sorted(ours.keys() & theirs.keys())
    if not common:
        message = f"{first} and {second} have no pair in common"
        raise bad(message, "give what two judges said of the same pairs, by the same id and subset")
    for key in common:
        if ours[key].label != theirs[key].label:
            message = f"the files disagree on the label of pair {key[1]}"
            raise bad(message, "give what two judges said of the same pairs in the same first order")
    return {
        "pairs": len(common),
        "only_first": len(ours) - len(common),
        "only_second": len(theirs) - len(common),
        "first": pairs.numbers([ours[key] for key in common]),
        "second": pairs.numbers([theirs[key] for key in common]),
        "by_order": paired(
            ((key, order), *right) for key in common for order, right in enumerate(zip(ours[key].right, theirs[key].right, strict=True))
        ),
        "by_pair": paired((key, *right) for key in common for right in zip(ours[key].right, theirs[key].right, strict=True)),
        "strict": paired((key, all(ours[key].right), all(theirs[key].right)) for key in common),
    }


def _read(path: Path) -> dict[Key, pairs.Row]:
    return {row.key(): row.as_pair() for row in read_rows(path, PairRow, PairRow.key)}
