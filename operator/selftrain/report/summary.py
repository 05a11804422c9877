"""The table of iterations and summary.json, from the manifests of a run."""

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from selftrain.api.names import Layout, job_name
from selftrain.api.records import BenchmarkResult, Guesses, Manifest, Order, Verdict
from selftrain.api.stages import Stage, Step
from selftrain.api.status import ChosenBy
from selftrain.api.v1alpha1 import SelfTrainRun
from selftrain.method.stats import Paired, paired, wilson
from selftrain.method.votes import majority
from selftrain.planning.choice import chosen
from selftrain.planning.steps import PAIRS_STEP, steps
from selftrain.storage.commit import read_manifest
from selftrain.storage.protocol import ObjectStore

Summary = dict[str, Any]
Hits = dict[tuple[str, str, str], bool]


def summarize(run: SelfTrainRun, store: ObjectStore, seconds: float) -> Summary:
    """Everything a reader compares runs by. `seconds` is the wall time of the run."""
    layout = Layout(run.metadata.namespace, run.metadata.name, run.metadata.uid)
    read = ((step, read_manifest(store, layout, step)) for step in steps(run.spec))
    manifests = {step: manifest for step, manifest in read if manifest is not None}
    numbers = sorted({step.iteration for step in manifests})
    choice = chosen(run.spec, manifests)
    return {
        "iterations": [_iteration(run, store, layout, number, manifests) for number in numbers],
        "seconds": round(seconds, 1),
        "chosen": {"iteration": choice.iteration, "by": choice.by, "checkpoint": f"{store.uri}/{layout.checkpoint(choice.iteration)}"}
        if choice
        else None,
        "paired": _paired(store, manifests),
    }


def _iteration(run: SelfTrainRun, store: ObjectStore, layout: Layout, number: int, manifests: dict[Step, Manifest]) -> Summary:
    own = {step.stage: manifest for step, manifest in manifests.items() if step.iteration == number}
    results = own[Stage.EVALUATE].results if Stage.EVALUATE in own else []
    generated = manifests.get(PAIRS_STEP)
    return {
        "iteration": number,
        **(_score(results[0]) if results else {}),
        "overlap": {result.benchmark: result.overlap.model_dump() for result in results if result.overlap},
        "validation": _strict(own[Stage.EVALUATE].validation) if Stage.EVALUATE in own else None,
        "pairs": generated.counts.get("pairs") if generated and number else None,
        "judgments": own[Stage.JUDGE].counts.get("judgments") if Stage.JUDGE in own else None,
        "kept": own[Stage.SELECT].counts.get("kept") if Stage.SELECT in own else None,
        **_evidence(own.get(Stage.SELECT)),
        "embedding_probe": _guesses(generated.embedding_probe or {}) if generated and number else None,
        "seconds": {str(stage): round(manifest.seconds, 1) for stage, manifest in own.items()},
        "jobs": [job_name(run.metadata.name, Step(number, stage), manifest.attempt) for stage, manifest in own.items()],
        "checkpoint": f"{store.uri}/{layout.checkpoint(number)}" if Stage.TRAIN in own else run.spec.model.uri,
    }


def _evidence(selected: Manifest | None) -> Summary:
    """What the training set is made of; empty for the seed, which has none."""
    if selected is None or selected.evidence is None:
        return {}
    return {
        "distributions": selected.evidence.distributions.model_dump(mode="json", by_alias=False),
        "probe": _guesses(selected.evidence.probe),
    }


def _guesses(probe: dict[str, Guesses]) -> Summary:
    """By kind of pair."""
    return {
        kind: {**guessed.model_dump(), "interval": [round(end, 4) for end in wilson(guessed.correct, guessed.total)]}
        for kind, guessed in probe.items()
    }


def _score(result: BenchmarkResult) -> Summary:
    overall = result.overall
    return {
        "benchmark": result.benchmark,
        **({"official": result.official.model_dump()} if result.official else {}),
        "correct": overall.correct,
        "total": overall.total,
        "accuracy": round(overall.correct / overall.total, 4) if overall.total else 0.0,
        "interval": [round(end, 4) for end in wilson(overall.correct, overall.total)],
        "strict": {"correct": overall.strict_correct, "total": overall.pairs},
        "unparsed": overall.unparsed,
        "a_verdicts": overall.a_verdicts,
        "parts": {name: {"correct": part.correct, "total": part.total} for name, part in result.parts.items()},
        "baselines": {
            name: {"correct": tally.correct, "total": tally.total}
            for name, tally in (("always_a", result.always_a), ("longer_wins", result.longer_wins))
        },
    }


def _strict(validation: BenchmarkResult | None) -> Summary | None:
    """Held-out synthetic pairs that are right in both orders, by which a judge is chosen."""
    if validation is None:
        return None
    correct, total = validation.overall.strict_correct, validation.overall.pairs
    return {"correct": correct, "total": total, "interval": [round(end, 4) for end in wilson(correct, total)]}


def _paired(store: ObjectStore, manifests: dict[Step, Manifest]) -> Paired:
    """The last judge against the seed on the same pairs of all benchmarks, both orders (exact McNemar)."""
    evaluations = [manifests[step] for step in sorted(manifests) if step.stage is Stage.EVALUATE]
    if Step(0, Stage.EVALUATE) not in manifests or len(evaluations) < 2:  # noqa: PLR2004 - a comparison needs two
        return paired(())
    seed, last = hits(store, evaluations[0]), hits(store, evaluations[-1])
    return paired((last[key], seed[key]) for key in seed.keys() & last.keys())


def against_seed(store: ObjectStore, seed: Manifest, judge: Manifest) -> dict[str, Paired]:
    """A judge against the seed by benchmark, both orders (exact McNemar)."""
    before, after = hits(store, seed), hits(store, judge)
    common = sorted(before.keys() & after.keys())
    return {name: paired((after[key], before[key]) for key in common if key[0] == name) for name in dict.fromkeys(key[0] for key in common)}


def hits(store: ObjectStore, manifest: Manifest) -> Hits:
    """Whether each (benchmark, pair, order) was decided right."""
    verdicts: dict[tuple[str, str, str], list[Verdict | None]] = {}
    for part in manifest.parts:
        source = pa.BufferReader(store.read(part.key))
        for row in pq.read_table(source, columns=["benchmark", "pair_id", "order", "verdict"]).to_pylist():
            key = (row["benchmark"], row["pair_id"], row["order"])
            verdicts.setdefault(key, []).append(Verdict(row["verdict"]) if row["verdict"] else None)
    return {key: majority(votes) is Order(key[2]).gold for key, votes in verdicts.items()}


def table(summary: Summary) -> str:
    """The iterations as a table for a terminal."""
    rows = [["iteration", "pairs", "judgments", "kept", "correct", "accuracy", "95 % interval", "seconds"]]
    for entry in summary["iterations"]:
        low, high = entry.get("interval", (None, None))
        rows.append([
            str(entry["iteration"]) + (" (seed)" if entry["iteration"] == 0 else ""),
            *(_cell(entry[name]) for name in ("pairs", "judgments", "kept")),
            f"{entry['correct']}/{entry['total']}" if "correct" in entry else "-",
            f"{entry['accuracy']:.3f}" if "accuracy" in entry else "-",
            f"{low:.3f} to {high:.3f}" if low is not None else "-",
            ", ".join(f"{stage} {seconds:.0f}" for stage, seconds in entry["seconds"].items()),
        ])  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, *_parts(summary), _verdict(summary), *_choice(summary)])


def _cell(value: int | None) -> str:
    return "-" if value is None else str(value)


def _parts(summary: Summary) -> list[str]:
    scored = [entry for entry in summary["iterations"] if entry.get("parts")]
    return [
        f"{name}: " + ", ".join(f"{entry['parts'][name]['correct']}/{entry['parts'][name]['total']}" for entry in scored)
        for name in (scored[0]["parts"] if scored else ())
    ]


def _choice(summary: Summary) -> list[str]:
    """The judge to use, with the numbers of all that were chosen from."""
    choice = summary["chosen"]
    if choice is None:
        return []
    told = [(entry["iteration"], entry["validation"]) for entry in summary["iterations"] if entry["validation"]]
    if choice["by"] == ChosenBy.LAST:
        return [f"to use: iteration {choice['iteration']}, the last one; no pairs are held out to choose by"]
    counts = ", ".join(f"iteration {number} {strict['correct']}/{strict['total']}" for number, strict in told)
    return [f"to use: iteration {choice['iteration']}, by held-out pairs right in both orders: {counts}"]


def _verdict(summary: Summary) -> str:
    paired = summary["paired"]
    return f"last judge against the seed: {paired['wins']} wins, {paired['losses']} losses, p = {paired['p']:.2g} (exact McNemar)"
