"""The part of a model card that tells a benchmark's score by its own rules."""

from selftrain.api.records import Interval, Official
from selftrain.report.markdown import table


def own_score(told: Official) -> str:
    """A table: overall, other overall scores in use, and the benchmark's own parts."""
    counts, intervals = told.counts or {}, told.intervals or {}
    rows = [
        ["overall", *_cells(told.overall, told.count, told.interval)],
        *([name, *_cells(score)] for name, score in (told.beside or {}).items()),
        *([name, *_cells(score, counts.get(name), intervals.get(name))] for name, score in told.parts.items()),
    ]
    missing = "" if told.complete else " Items of the benchmark are missing here."
    return f"By the benchmark's own rules, judgments read as it reads them:{missing}\n\n" + table(["score", "share (95 %)", "items"], rows)


def _cells(score: float | None, count: int | None = None, ends: Interval | None = None) -> list[str]:
    shown = "-" if score is None else f"{score:.4f}" + (f" ({ends[0]:.3f} to {ends[1]:.3f})" if ends else "")
    return [shown, "" if count is None else str(count)]
