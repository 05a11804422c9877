"""Plots of the study: verdicts by kind of wrong answer, and how many traces look the answer up."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from study.results import KINDS, Row, Share

COLOURS = ("tab:red", "tab:blue")
TRACES = ("judged", "learnt")
Points = Sequence[tuple[str, Share]]
"""A point each, with the name of its line."""

mpl.use("svg")
mpl.rcParams.update({"svg.hashsalt": "selftrain", "svg.fonttype": "none"})  # equal numbers give an equal file, small and to be searched


def accuracy(found: Sequence[Row], path: Path) -> None:
    """A line a judge: its share of right verdicts on both kinds of pairs; the dashed line is chance."""
    groups = {kind: [(_name(row), row.right(kind)) for row in found] for kind in KINDS}
    axes = _draw(groups, "share of right verdicts on held-out pairs, both orders, with 95 % intervals")
    axes.axvline(0.5, color="grey", linestyle="--", linewidth=0.8)
    axes.set_xlim(0.4, 1.01)
    _save(path)


def training_lookups(found: Sequence[Row], path: Path) -> None:
    """A line an iteration: traces with the true solution that rule by it, among those sampled and those learnt."""
    trained = [row for row in found if row.iteration and row.first]
    _lookups({group: [(_name(row), row.lookups(group)) for row in trained] for group in TRACES}, path)


def held_out_lookups(found: Sequence[Row], path: Path) -> None:
    """A line a judge: the same on held-out pairs of both kinds."""
    _lookups({kind: [(_name(row), row.lookups("evaluated", kind)) for row in found if row.first] for kind in KINDS}, path)


def _lookups(groups: dict[str, Points], path: Path) -> None:
    _draw(groups, "share of traces that look the answer up, with 95 % intervals").set_xlim(0, 1.01)
    _save(path)


def _name(row: Row) -> str:
    judge = f"{row.name}, iteration {row.iteration}" if row.iteration else row.name
    return judge if row.first else f"{judge}, {row.benchmark}"


def _draw(groups: dict[str, Points], label: str) -> Axes:
    """Points with intervals, the first line on top."""
    names = [name for name, *_ in next(iter(groups.values()))]
    _, axes = plt.subplots(figsize=(8, 0.4 * len(names) + 1.2), layout="constrained")
    for shift, colour, (group, points) in zip((0.12, -0.12), COLOURS, groups.items(), strict=True):
        places = [len(points) - 1 - place + shift for place in range(len(points))]
        low, high = ([abs(share.value - share.interval[side]) for _, share in points] for side in (0, 1))
        axes.errorbar([share.value for _, share in points], places, xerr=[low, high], fmt="o", color=colour, capsize=2, label=group)
    axes.set_yticks(range(len(names)), reversed(names))
    axes.set_xlabel(label)
    axes.legend(loc="best")
    return axes


def _save(path: Path) -> None:
    plt.savefig(path, metadata={"Date": None})
    plt.close()
