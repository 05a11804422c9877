"""summary.json: everything a reader compares runs by, from the manifests of a run and the judgments that they list."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from selftrain.api.names import Layout, job_name
from selftrain.api.records import BenchmarkResult, Guesses, Manifest, Order, Tally
from selftrain.api.stages import Stage, Step
from selftrain.api.v1alpha1 import SelfTrainRun, Spec
from selftrain.method.contests import Said, outcome
from selftrain.method.official import item_of
from selftrain.method.scoring import by_chance, interval, strict_interval
from selftrain.method.stats import Paired, paired, wilson
from selftrain.method.votes import majority
from selftrain.planning.steps import PAIRS_STEP, steps
from selftrain.planning.summary import checkpoint_of, chosen_of
from selftrain.storage.commit import read_manifest
from selftrain.storage.protocol import ObjectStore

COLUMNS = ("benchmark", "pair_id", "order", "sample", "verdict", "correct")
GOLD = {order.value: order.gold for order in Order}
Summary = dict[str, Any]
Hits = dict[tuple[str, str, str], bool]
"""Whether each (benchmark, pair, order) was decided right; the order is empty for items with more than two answers."""


def summarize(run: SelfTrainRun, store: ObjectStore) -> Summary:
    """All iterations, each with its scores on all benchmarks. What is in the store decides it, however often the run was stopped."""
    layout = Layout(run.metadata.namespace, run.metadata.name, run.metadata.uid)
    read = ((step, read_manifest(store, layout, step)) for step in steps(run.spec))
    manifests = {step: manifest for step, manifest in read if manifest is not None}
    numbers = sorted({step.iteration for step in manifests})
    evaluations = [manifests[step] for step in sorted(manifests) if step.stage is Stage.EVALUATE]
    decided = {manifest.iteration: hits(store, manifest) for manifest in evaluations}
    seed = decided.get(0, {})
    voted = {manifest.iteration: hits(store, manifest, voted=True) for manifest in evaluations}
    before = _Seed(run.spec, seed, voted.get(0, {}))
    scores = {
        manifest.iteration: _scores(manifest, decided[manifest.iteration], voted[manifest.iteration], before) for manifest in evaluations
    }
    choice = chosen_of(run, manifests)
    return {
        "iterations": [_iteration(run, number, manifests) | _scored(scores.get(number, [])) for number in numbers],
        "seconds": round(sum(manifest.seconds for manifest in manifests.values()), 1),
        "chosen": choice.model_dump(mode="json") if choice else None,
        "paired": paired_by_item(run.spec, decided[max(decided)], seed) if len(decided) > 1 else paired(()),
    }


def _iteration(run: SelfTrainRun, number: int, manifests: Mapping[Step, Manifest]) -> Summary:
    own = {step.stage: manifest for step, manifest in manifests.items() if step.iteration == number}
    evaluated, generated = own.get(Stage.EVALUATE), manifests.get(PAIRS_STEP)
    return {
        "iteration": number,
        "overlap": {result.benchmark: result.overlap.model_dump() for result in evaluated.results if result.overlap} if evaluated else {},
        "validation": _strict(evaluated.validation) if evaluated else None,
        "pairs": generated.counts.get("pairs") if generated and number else None,
        "judgments": own[Stage.JUDGE].counts.get("judgments") if Stage.JUDGE in own else None,
        "kept": own[Stage.SELECT].counts.get("kept") if Stage.SELECT in own else None,
        **_evidence(own.get(Stage.SELECT)),
        "embedding_probe": _guesses(generated.embedding_probe or {}) if generated and number else None,
        "seconds": {str(stage): round(manifest.seconds, 1) for stage, manifest in own.items()},
        "jobs": [job_name(run.metadata.name, Step(number, stage), manifest.attempt) for stage, manifest in own.items()],
        "checkpoint": checkpoint_of(run, number, manifests) if Stage.TRAIN in own else run.spec.model.uri,
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
    return {kind: {**guessed.model_dump(), "interval": _rounded(wilson(guessed.right, guessed.total))} for kind, guessed in probe.items()}


def _strict(validation: BenchmarkResult | None) -> Summary | None:
    """Held-out synthetic pairs that are right in both orders, by which a judge is chosen."""
    if validation is None:
        return None
    overall = validation.overall
    return {"correct": overall.strict_correct, "total": overall.pairs, "interval": _rounded(strict_interval(overall))}


def _scored(scores: list[Summary]) -> Summary:
    """The first benchmark's numbers stand in the iteration itself too: most runs have one."""
    return {**(scores[0] if scores else {}), "benchmarks": scores}


class _Seed(NamedTuple):
    """What the seed decided right, by its own votes and by the majority of more."""

    spec: Spec
    own: Hits
    voted: Hits

    def beside(self, benchmark: str, hits: Hits) -> Summary:
        """Paired tests of a judge, by the names that they have in a score."""
        told = {"paired": paired_by_item(self.spec, hits, self.own, benchmark)}
        if hits is not self.voted and any(name == benchmark for name, *_ in self.voted):
            told["paired_with_votes"] = paired_by_item(self.spec, hits, self.voted, benchmark)
        return told


def _scores(manifest: Manifest, own: Hits, voted: Hits, seed: _Seed) -> list[Summary]:
    """Every benchmark's numbers, each judge beside the seed on the same items (exact sign test)."""
    scores = []
    for result in manifest.results:
        score = _score(result) | (seed.beside(result.benchmark, own) if manifest.iteration else {})
        if result.voted:
            score["voted"] = _score(result.voted) | seed.beside(result.benchmark, voted)
        scores.append(score)
    return scores


def _score(result: BenchmarkResult) -> Summary:
    overall = result.overall
    return {
        "benchmark": result.benchmark,
        "votes": result.votes,
        **({"official": result.official.model_dump()} if result.official else {}),
        **_share(overall),
        "strict": {"correct": overall.strict_correct, "total": overall.pairs, "interval": _rounded(strict_interval(overall))},
        "unparsed": overall.unparsed,
        "a_verdicts": overall.a_verdicts,
        "lenient": _share(result.lenient),
        "disagreements": result.disagreements,
        "parts": {name: _share(part) for name, part in result.parts.items()},
        "baselines": {
            "random": {"expected": by_chance(result), "total": overall.total},
            "always_a": _share(result.always_a),
            "longer_wins": _share(result.longer_wins),
        },
    }


def _share(tally: Tally) -> Summary:
    return {
        "correct": tally.correct,
        "total": tally.total,
        "accuracy": round(tally.correct / tally.total, 4) if tally.total else 0.0,
        "interval": _rounded(interval(tally)),
    }


def _rounded(ends: tuple[float, float]) -> list[float]:
    return [round(end, 4) for end in ends]


def against_seed(store: ObjectStore, spec: Spec, seed: Manifest, judge: Manifest) -> tuple[dict[str, Paired], dict[str, Paired]]:
    """A judge against the seed, and against its votes, by benchmark, on the same items."""
    after = hits(store, judge)

    def against(before: Hits) -> dict[str, Paired]:
        names = sorted({name for name, *_ in before.keys() & after.keys()})
        return {name: paired_by_item(spec, after, before, name) for name in names}

    return against(hits(store, seed)), against(hits(store, seed, voted=True))


def paired_by_item(spec: Spec, ours: Hits, theirs: Hits, benchmark: str | None = None) -> Paired:
    """One judge against another on the same items, of one benchmark or of all. Benchmarks of one file have the same items."""
    entries = {entry.name: entry for entry in spec.evaluate.benchmarks}
    common = [key for key in theirs.keys() & ours.keys() if benchmark in (None, key[0])]
    return paired(
        ((entries[name].uri, item_of(entries[name].format, pair)), ours[name, pair, order], theirs[name, pair, order])
        for name, pair, order in common
    )


def hits(store: ObjectStore, manifest: Manifest, *, voted: bool = False) -> Hits:
    """What of the benchmarks a judge decided right: by their own votes, or (`voted`) by those that some are scored by once more.

    The run's own held-out pairs are left out. They choose a judge, and what chooses does not measure.
    """
    if voted and not any(result.voted for result in manifest.results):
        return {}
    votes = {result.benchmark: result.votes for result in manifest.results}
    said: defaultdict[tuple[str, str], defaultdict[str, list[str | None]]] = defaultdict(lambda: defaultdict(list))
    for part in manifest.parts:
        # Without the threads of read_table: a process that ended right after them was once aborted (machine under heavy load).
        file = pq.ParquetFile(pa.BufferReader(store.read(part.key)))
        for row in file.read(columns=[*COLUMNS], use_threads=False).to_pylist():
            has_winner = row["order"] not in GOLD or row["correct"] is not None
            measures = has_winner and row["benchmark"] in votes
            if measures and (row["sample"] >= votes[row["benchmark"]]) is voted:
                said[row["benchmark"], row["pair_id"]][row["order"]].append(row["verdict"])
    return {(*item, order): right for item, votes_on in said.items() for order, right in _right(votes_on)}


def _right(votes: Said) -> Iterator[tuple[str, bool]]:
    """What of an item is decided, and whether right: both orders of a pair, each on its own, or a contest as a whole."""
    if votes.keys() <= GOLD.keys():
        yield from ((order, majority(said) == GOLD[order]) for order, said in votes.items())
    else:
        yield "", outcome(votes).right
