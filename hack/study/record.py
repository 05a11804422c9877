"""What the study keeps of a finished run: its manifest, its summary, every judgment's outcome, and what the world's truth says of its data.

A record needs neither the run's store nor this machine to be read again.
"""

import json
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from selftrain.api.names import TRAINING_LOG, Layout
from selftrain.api.records import Manifest, Order
from selftrain.api.stages import Stage, Step
from selftrain.api.v1alpha1 import SelfTrainRun
from selftrain.planning.steps import PAIRS_STEP, SEED_STEP
from selftrain.report.summary import hits
from selftrain.storage.commit import read_manifest
from selftrain.storage.protocol import ObjectStore
from study.experiments import Experiment
from study.worlds import fingerprint, held_out_pairs, module, truths

Row = dict[str, Any]
COPIED = ("iteration", "judgments", "kept", "a_verdicts", "unparsed", "seconds")
"""Entries of a summary's iterations that a record has too."""


def record_of(experiment: Experiment, run: SelfTrainRun, store: ObjectStore, summary: Row) -> Row:
    """The record of a run that has ended."""
    reader = Reader(run, store)
    pairs = {row["pair_id"]: row for row in reader.rows(PAIRS_STEP) if not row["dropped"]}
    truth = truths(experiment.family)
    iterations = [{name: entry[name] for name in COPIED} for entry in summary["iterations"]]
    for entry in iterations:
        number = entry["iteration"]
        entry["hits"] = outcomes(store, reader.manifest(Step(number, Stage.EVALUATE)))
        entry["evaluated"] = traces(reader.evaluated(number), *held_out(experiment.family))
        if number:
            entry["dtype"] = reader.dtype(number)
            entry["judged"] = traces(reader.judged(number), pairs, truth)
            entry["learnt"] = traces(reader.learnt(number), pairs, truth)
    return {
        **made_from(experiment),
        "commit": commit(),
        "seed_judge": reader.manifest(SEED_STEP).inputs["model"],
        "pairs": labels(pairs.values(), truth),
        "iterations": iterations,
    }


def made_from(experiment: Experiment) -> Row:
    """What a record is of. If it changes, the run has to be carried out again."""
    return {"manifest": experiment.manifest(), "world": fingerprint(experiment.family)}


def commit() -> str | None:
    """The code that made a record, in a clone."""
    git = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    done = subprocess.run(git, capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def finished(experiment: Experiment, records: Mapping[str, Row]) -> bool:
    """Whether there is a record of this experiment as it is now."""
    return records.get(experiment.run, {}).items() >= made_from(experiment).items()


def held_out(family: str) -> tuple[dict[str, Row], dict[str, str]]:
    """The benchmark's pairs as if a run had made them, and their true answers."""
    pairs = held_out_pairs(family)
    return {pair["id"]: {**pair, "kind": pair["subset"]} for pair in pairs}, {pair["instruction"]: pair["chosen"] for pair in pairs}


class Reader:
    """The datasets of a run."""

    def __init__(self, run: SelfTrainRun, store: ObjectStore) -> None:
        self.benchmark = run.spec.evaluate.benchmarks[0].name
        self.store, self.layout = store, Layout(run.metadata.namespace, run.metadata.name, run.metadata.uid)

    def manifest(self, step: Step) -> Manifest:
        found = read_manifest(self.store, self.layout, step)
        if found is None:
            raise LookupError(str(step))
        return found

    def dtype(self, iteration: int) -> str:
        """What a judge was trained in."""
        log = json.loads(self.store.read(f"{self.manifest(Step(iteration, Stage.TRAIN)).checkpoint}{TRAINING_LOG}"))
        return str(log["dtype"])

    def rows(self, step: Step) -> Iterator[Row]:
        for part in self.manifest(step).parts:
            yield from pq.read_table(pa.BufferReader(self.store.read(part.key))).to_pylist()

    def evaluated(self, iteration: int) -> Iterator[tuple[str, str, str]]:
        """Pair, order and trace of what a judge said of the first benchmark."""
        rows = self.rows(Step(iteration, Stage.EVALUATE))
        return ((row["pair_id"], row["order"], row["trace"]) for row in rows if row["benchmark"] == self.benchmark)

    def judged(self, iteration: int) -> Iterator[tuple[str, str, str]]:
        """Pair, order and trace of every judgment sampled."""
        return ((row["pair_id"], row["order"], row["trace"]) for row in self.rows(Step(iteration, Stage.JUDGE)))

    def learnt(self, iteration: int) -> Iterator[tuple[str, str, str]]:
        """The same of those that were kept."""
        return ((row["pair_id"], row["order"], row["completion"]) for row in self.rows(Step(iteration, Stage.SELECT)))


def outcomes(store: ObjectStore, manifest: Manifest) -> dict[str, dict[str, str]]:
    """By benchmark and pair: whether the verdict was right (1 or 0), a digit for each order."""
    found: defaultdict[str, dict[str, str]] = defaultdict(dict)
    right = hits(store, manifest)
    for benchmark, pair, order in sorted(right):
        if order == Order.AB:
            found[benchmark][pair] = "".join(str(int(right[benchmark, pair, side])) for side in Order)
    return dict(found)


def labels(pairs: Iterable[Row], truth: dict[str, str]) -> dict[str, dict[str, int]]:
    """By kind of worse answer: pairs, those whose better answer is true, and those whose worse answer is true."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for pair in pairs:
        answer = truth[pair["instruction"]]
        counts[pair["kind"]].update({
            "pairs": 1, "chosen true": int(pair["chosen"] == answer), "rejected true": int(pair["rejected"] == answer),
        })  # fmt: skip
    return {kind: dict(counted) for kind, counted in sorted(counts.items())}


def traces(rows: Iterable[tuple[str, str, str]], pairs: dict[str, Row], truth: dict[str, str]) -> dict[str, dict[str, int]]:
    """By kind of worse answer: traces, those whose solution is true, and look-ups.

    A look-up finds the true solution and rules on both answers by it. The other way to a verdict is to ask what the answers are
    about, which is right on off-topic pairs only.
    """
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for pair_id, order, trace in rows:
        pair = pairs[pair_id]
        answer = truth[pair["instruction"]]
        solved = module("data").solution(trace) == answer
        counts[pair["kind"]].update({"traces": 1, "solved": int(solved), "look-ups": int(solved and rules_by(answer, pair, order, trace))})
    return {kind: dict(counted) for kind, counted in sorted(counts.items())}


def rules_by(answer: str, pair: Row, order: str, trace: str) -> bool:
    """Whether a trace calls right what equals the answer and wrong what does not, and restates both answers as shown."""
    shown = (pair["chosen"], pair["rejected"]) if order == Order.AB else (pair["rejected"], pair["chosen"])
    expected = [f"{letter}: {text} {'right' if text == answer else 'wrong'}" for letter, text in zip("AB", shown, strict=True)]
    return trace.split("\n")[1:3] == expected


def relabelled(pairs: Iterable[Row], truth: dict[str, str]) -> Iterator[Row]:
    """The pairs that have a true and a wrong answer, the true one as the chosen, in the layout of labelled pairs."""
    for pair in pairs:
        sides = [pair["chosen"], pair["rejected"]]
        right, wrong = ([side for side in sides if side and (side == truth[pair["instruction"]]) is wanted] for wanted in (True, False))
        if right and wrong:
            yield {"id": pair["pair_id"], "instruction": pair["instruction"], "chosen": right[0], "rejected": wrong[0]}


def read_records(folder: Path) -> dict[str, Row]:
    """All records of a folder by the name of their run."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
