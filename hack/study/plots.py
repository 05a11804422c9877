"""Plots of the study: verdicts by kind of wrong answer, and how many traces look the answer up."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from study.results import KINDS, Row, Traces

COLOURS = ("tab:red", "tab:blue")
TRACES = ("judged", "learnt")


class Point(NamedTuple):
    """A share, with its interval if it has one."""

    value: float
    interval: tuple[float, float] | None = None


Points = Sequence[tuple[str, Point]]
"""A point each, with the name of its line."""

mpl.use("svg")
mpl.rcParams.update({"svg.hashsalt": "selftrain", "svg.fonttype": "none"})  # equal numbers give an equal file, small and to be searched


def accuracy(found: Sequence[Row], path: Path) -> None:
    """A line a judge: its share of right verdicts on both kinds of pairs; the dashed line is chance."""
    groups = {kind: [(_name(row), Point(right.value, right.interval)) for row in found for right in [row.right(kind)]] for kind in KINDS}
    axes = _draw(groups, "share of right verdicts on held-out pairs, both orders, with 95 % intervals")
    axes.axvline(0.5, color="grey", linestyle="--", linewidth=0.8)
    axes.set_xlim(0.4, 1.01)
    _save(path)


def training_lookups(found: Sequence[Row], path: Path) -> None:
    """A line an iteration: of the traces with the true solution those that rule by it, among the ones sampled and the ones learnt."""
    trained = [row for row in found if row.iteration and row.first]
    _lookups({group: [(_name(row), row.traces(group)) for row in trained] for group in TRACES}, path)


def held_out_lookups(found: Sequence[Row], path: Path) -> None:
    """A line a judge: the same on held-out pairs of both kinds."""
    _lookups({kind: [(_name(row), row.traces("evaluated", kind)) for row in found if row.first] for kind in KINDS}, path)


def _lookups(groups: dict[str, list[tuple[str, Traces]]], path: Path) -> None:
    points = {group: [(name, Point(of.lookups / max(1, of.solved))) for name, of in traces] for group, traces in groups.items()}
    axes = _draw(points, "share of traces that look the answer up, of those that solve the task; dashed: by chance")
    axes.axvline(0.5, color="grey", linestyle="--", linewidth=0.8)
    axes.set_xlim(0, 1.01)
    _save(path)


def _name(row: Row) -> str:
    judge = f"{row.name}, iteration {row.iteration}" if row.iteration else row.name
    return judge if row.first else f"{judge}, {row.benchmark}"


def _draw(groups: Mapping[str, Points], label: str) -> Axes:
    """Points with intervals, the first line on top."""
    names = [name for name, *_ in next(iter(groups.values()))]
    _, axes = plt.subplots(figsize=(8, 0.4 * len(names) + 1.2), layout="constrained")
    for shift, colour, (group, points) in zip((0.12, -0.12), COLOURS, groups.items(), strict=True):
        places = [len(points) - 1 - place + shift for place in range(len(points))]
        ends = [point.interval or (point.value, point.value) for _, point in points]
        errors = [[abs(point.value - end[side]) for (_, point), end in zip(points, ends, strict=True)] for side in (0, 1)]
        axes.errorbar([point.value for _, point in points], places, xerr=errors, fmt="o", color=colour, capsize=2, label=group)
    axes.set_yticks(range(len(names)), reversed(names))
    axes.set_xlabel(label)
    axes.legend(loc="best")
    return axes


def _save(path: Path) -> None:
    plt.savefig(path, metadata={"Date": None})
    plt.close()
