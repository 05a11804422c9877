"""A benchmark's score: a weighted mean of items, each worth something between 0 and 1."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from selftrain.api.records import Official
from selftrain.method.stats import wilson

STRICT, WITHOUT_TIES = "strict", "without ties"
"""Scores that are told beside another one."""


@dataclass(frozen=True)
class Score:
    """A share with what it rests on."""

    value: float
    count: int
    """Items."""
    effective: float
    """Equally weighted items that would know it as well (Kish 1965): all of them where all weigh the same."""

    @property
    def interval(self) -> tuple[float, float]:
        """95 %; Wilson's, on the effective number of items. A Ties score lies within -0.01 and 1.01; it has the nearest share's."""
        return wilson(max(0.0, min(1.0, self.value)) * self.effective, self.effective)

    def as_json(self, **more: object) -> dict[str, Any]:
        """The score among others of its kind. Without items it is none."""
        shown = {"score": self.value, "interval": list(self.interval)} if self.count else {"score": None, "interval": None}
        return {**shown, "count": self.count, **more}


@dataclass(frozen=True)
class Scored:
    """What `selftrain score` prints. A part's name is the benchmark's own."""

    benchmark: str
    overall: Score | None
    """None where a part is missing without which the benchmark has no overall score."""
    count: int
    """What was given to score: items, or people's votes."""
    parts: Mapping[str, Any]
    details: Mapping[str, Any] = field(default_factory=dict)
    """What only this benchmark has."""

    @classmethod
    def by_parts(
        cls,
        benchmark: str,
        overall: Score | None,
        count: int,
        parts: Mapping[str, Score],
        missing: Mapping[str, int | str],
        surplus: Mapping[str, int],
        **more: object,
    ) -> "Scored":
        """A benchmark whose parts are plain scores. `missing` and `surplus` say where there are fewer or more items than are published."""
        return cls(
            benchmark, overall, count,
            {name: found.value for name, found in parts.items()},
            {
                "counts": {name: found.count for name, found in parts.items()},
                "intervals": {name: list(found.interval) for name, found in parts.items()},
                **more,
                "complete": not missing and not surplus,
                "missing": missing,
                "surplus": surplus,
            },
        )  # fmt: skip

    @property
    def official(self) -> Official:
        """What a run keeps of it. Parts without a score are left out."""
        known = {name: part for name, part in self._told.items() if part["score"] is not None}
        return Official(
            overall=self.overall.value if self.overall else None,
            interval=self.overall.interval if self.overall else None,
            count=self.count,
            parts={name: part["score"] for name, part in known.items()},
            intervals={name: part["interval"] for name, part in known.items()},
            counts={name: part["count"] for name, part in known.items()},
            beside=self._beside(known) or None,
            complete=bool(self.details.get("complete", True)),
        )

    @property
    def _told(self) -> dict[str, dict[str, Any]]:
        """Parts with what they rest on, wherever the benchmark tells that."""
        counts, intervals = self.details.get("counts", {}), self.details.get("intervals", {})
        plain = {name: {"score": part, "count": counts.get(name), "interval": intervals.get(name)} for name, part in self.parts.items()}
        return {name: part if isinstance(part, dict) else plain[name] for name, part in self.parts.items()}

    def _beside(self, parts: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
        strict = {f"{STRICT} {name}": part[STRICT] for name, part in parts.items() if STRICT in part}
        without = self.details.get(WITHOUT_TIES, {}).get("score")
        own = {STRICT: self.details.get(STRICT), WITHOUT_TIES: without}
        return {name: score for name, score in own.items() if score is not None} | strict

    def as_json(self) -> dict[str, Any]:
        """One JSON object."""
        overall = self.overall
        return {
            "benchmark": self.benchmark,
            "overall": overall.value if overall else None,
            "count": self.count,
            "interval": list(overall.interval) if overall else None,
            "parts": self.parts,
            **self.details,
        }


def mean(items: Sequence[float]) -> Score:
    """Items of equal weight."""
    return Score(sum(items) / len(items), len(items), float(len(items)))


def strict(items: Sequence[bool]) -> dict[str, Any]:
    """The share of pairs that are right in both orders, to stand beside another number."""
    share = mean(items)
    return {STRICT: share.value, f"{STRICT}_interval": list(share.interval)}


def weighted(scores: Iterable[tuple[float, Score]]) -> Score:
    """Weighted mean of scores; the weights need not add up to 1. A part without items has a value, and no say in how well it is known."""
    parts = list(scores)
    known = [(weight, score.effective) for weight, score in parts if score.effective]
    return Score(
        value=sum(weight * score.value for weight, score in parts) / sum(weight for weight, _ in parts),
        count=sum(score.count for _, score in parts),
        effective=sum(weight for weight, _ in known) ** 2 / sum(weight**2 / effective for weight, effective in known) if known else 0.0,
    )


def short(counts: Mapping[str, int], have: Mapping[str, int]) -> dict[str, int]:
    """How many items are missing from each part that has too few."""
    return {name: count - have.get(name, 0) for name, count in counts.items() if have.get(name, 0) < count}


def over(counts: Mapping[str, int], have: Mapping[str, int]) -> dict[str, int]:
    """How many items each part has beyond those that are published, as another split or version of the benchmark would have."""
    return {name: have[name] - count for name, count in counts.items() if have.get(name, 0) > count}


NOTHING = Score(0.0, 0, 0.0)
"""A part without items, where the official code counts it as zero."""
