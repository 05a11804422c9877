"""A summary as tables for a terminal: the iterations, and then the judges on each benchmark, baselines first."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from selftrain.api.status import ChosenBy
from selftrain.method.stats import Paired
from selftrain.report.summary import Summary

Line = list[str]
HEAD = (
    "correct",
    "accuracy",
    "95 % interval",
    "both orders",
    "says A",
    "unparsed",
    "lenient",
    "read differently",
    "against the seed",
    "against its votes",
)


def table(summary: Summary) -> str:
    """Everything, tables one below the other."""
    iterations = summary["iterations"]
    made = _aligned([["iteration", "pairs", "judgments", "kept", "seconds"], *map(_iteration, iterations)])
    scored = {_name(entry): entry["benchmarks"] for entry in iterations if entry["benchmarks"]}
    benchmarks = (_benchmark(dict(zip(scored, scores, strict=True))) for scores in zip(*scored.values(), strict=True))
    last = f"last judge against the seed: {_told(summary['paired'])} (exact sign test, item by item)"
    return "\n\n".join([made, *benchmarks, "\n".join([last, *_choice(summary)])])


def _iteration(entry: Summary) -> Line:
    return [
        _name(entry),
        *("-" if entry[name] is None else str(entry[name]) for name in ("pairs", "judgments", "kept")),
        ", ".join(f"{stage} {seconds:.0f}" for stage, seconds in entry["seconds"].items()),
    ]


def _name(entry: Summary) -> str:
    return "seed" if entry["iteration"] == 0 else str(entry["iteration"])


def _benchmark(scores: Mapping[str, Summary]) -> str:
    """One benchmark's judges, and below them what each scores on its parts and by the benchmark's own rules."""
    first = next(iter(scores.values()))
    random, always_a, longer = (first["baselines"][name] for name in ("random", "always_a", "longer_wins"))
    lines = [
        [first["benchmark"], *HEAD],
        ["random, expected", f"{random['expected']:g}/{random['total']}", f"{random['expected'] / max(1, random['total']):.3f}"],
        ["always A", *_share(always_a)],
        ["longer wins", *_share(longer)],
        *(line for name, score in scores.items() for line in _judge(name, score)),
    ]
    return "\n".join([_aligned(lines), *_parts(scores), *_official(scores)])


def _judge(name: str, score: Summary) -> Iterator[Line]:
    yield [
        name,
        *_share(score),
        _counted(score["strict"]) if score["strict"]["total"] else "-",
        f"{score['a_verdicts']}/{score['total']}",
        str(score["unparsed"]),
        f"{score['lenient']['correct']}/{score['lenient']['total']}",
        str(score["disagreements"]),
        *(_told(score[test]) if test in score else "" for test in ("paired", "paired_with_votes")),
    ]
    if "voted" in score:
        yield from _judge(f"{name}, {score['voted']['votes']} votes", score["voted"])


def _share(tally: Mapping[str, Any]) -> Line:
    low, high = tally["interval"]
    return [f"{tally['correct']}/{tally['total']}", f"{tally['accuracy']:.3f}", f"{low:.3f} to {high:.3f}"]


def _counted(pairs: Mapping[str, Any]) -> str:
    low, high = pairs["interval"]
    return f"{pairs['correct']}/{pairs['total']} ({low:.3f} to {high:.3f})"


def _told(test: Paired) -> str:
    return f"{test['wins']} won, {test['losses']} lost, p = {test['p']:.2g}"


def _parts(scores: Mapping[str, Summary]) -> Iterator[str]:
    for part in next(iter(scores.values()))["parts"]:
        yield f"{part}: " + ", ".join(f"{_counted(score['parts'][part])}" for score in scores.values())


def _official(scores: Mapping[str, Summary]) -> Iterator[str]:
    """The benchmark's own score, and what it tells beside it and of parts that are no subsets."""
    told = [score["official"] for score in scores.values() if "official" in score]
    if not told:
        return
    yield "by its own rules: " + ", ".join(_own(one["overall"], one.get("interval")) for one in told)
    for kind, ends in (("beside", None), ("parts", "intervals")):
        for name in told[0].get(kind) or ():
            if name not in next(iter(scores.values()))["parts"]:
                yield f"  {name}: " + ", ".join(_own(one[kind].get(name), (one.get(ends) or {}).get(name)) for one in told)


def _own(share: float | None, ends: Sequence[float] | None) -> str:
    return "-" if share is None else f"{share:.3f}" + (f" ({ends[0]:.3f} to {ends[1]:.3f})" if ends else "")


def _choice(summary: Summary) -> Iterator[str]:
    """The judge to use, with the numbers of all that were chosen from."""
    choice = summary["chosen"]
    if choice is None:
        return
    told = [(entry["iteration"], entry["validation"]) for entry in summary["iterations"] if entry["validation"]]
    counts = ", ".join(f"iteration {number} {strict['correct']}/{strict['total']}" for number, strict in told)
    by_validation = f"by held-out pairs right in both orders: {counts}"
    why = "the last one; no pairs are held out to choose by" if choice["by"] == ChosenBy.LAST else by_validation
    yield f"to use: iteration {choice['iteration']}, {why}"


def _aligned(lines: Sequence[Line]) -> str:
    widths = [max(len(line[column]) for line in lines if column < len(line)) for column in range(len(lines[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=False)).rstrip() for line in lines)
