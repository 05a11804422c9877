"""What a run is summed up as, from manifests and judgments in a folder."""

from pathlib import Path
from typing import Any

import pytest

from selftrain.api.names import Layout
from selftrain.api.records import VALIDATION, BenchmarkResult, Manifest, Tally
from selftrain.api.stages import Stage, Step
from selftrain.api.v1alpha1 import SelfTrainRun
from selftrain.report.summary import summarize, table
from selftrain.storage.commit import commit, write_shard
from selftrain.storage.folder import FolderStore
from selftrain.storage.protocol import ObjectStore
from selftrain.storage.tables import EVALUATIONS, write_table

LAYOUT = Layout("default", "small", "local")
BENCHMARK = {"benchmarks": [{"name": "held-out", "uri": "s3://b/p.jsonl"}]}


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return FolderStore(tmp_path)


def a_run(**spec: Any) -> SelfTrainRun:
    base = {"model": {"uri": "s3://b/m"}, "store": {"uri": "s3://bucket/runs"}, "instructions": {"uri": "s3://b/i.jsonl"}, "iterations": 2}
    return SelfTrainRun.model_validate({"metadata": {"name": "small"}, "spec": {**base, **spec}})


def trained(store: ObjectStore) -> None:
    for step in (Step(1, Stage.GENERATE), *(Step(n, stage) for n in (1, 2) for stage in (Stage.JUDGE, Stage.SELECT, Stage.TRAIN))):
        done = Manifest(run="small", iteration=step.iteration, stage=step.stage, attempt=1, work="0" * 64, inputs={}, parts=[])
        commit(store, LAYOUT, done)


def evaluated(store: ObjectStore, path: Path, iteration: int, right: dict[str, list[bool]]) -> None:
    """An evaluation in which the pairs of each exam are decided right or wrong, both orders alike."""
    step = Step(iteration, Stage.EVALUATE)
    rows = [
        {
            "benchmark": name, "pair_id": str(number), "order": order, "sample": 0, "trace": "", "finish": "stop", "tokens": 1,
            "verdict": order[0 if decided else 1], "correct": decided,
        }
        for name, decisions in right.items()
        for number, decided in enumerate(decisions)
        for order in ("AB", "BA")
    ]  # fmt: skip
    count = write_table(rows, EVALUATIONS, path)
    part = write_shard(store, LAYOUT, step, 0, path, work="0" * 64, of=1, rows=count).part
    told = {
        name: BenchmarkResult(
            benchmark=name, votes=1,
            overall=Tally(correct=2 * sum(said), total=2 * len(said), strict_correct=sum(said), pairs=len(said)),
        )
        for name, said in right.items()
    }  # fmt: skip
    validation = told.pop(VALIDATION, None)
    manifest = Manifest(
        run="small", iteration=iteration, stage=step.stage, attempt=1, work="0" * 64, inputs={}, parts=[part],
        results=list(told.values()), validation=validation,
    )  # fmt: skip
    commit(store, LAYOUT, manifest)


def test_the_judge_to_use_is_told_with_what_it_was_chosen_by(store: ObjectStore, tmp_path: Path) -> None:
    trained(store)
    evaluated(store, tmp_path / "rows", 0, {"held-out": [True, False]})
    evaluated(store, tmp_path / "rows", 1, {"held-out": [False, False], VALIDATION: [True, True, False]})
    evaluated(store, tmp_path / "rows", 2, {"held-out": [True, True], VALIDATION: [False, True, False]})
    run = a_run(evaluate=BENCHMARK, instructions={"uri": "s3://b/i.jsonl", "validation": 3})
    summary = summarize(run, store, 1.0)
    assert summary["chosen"] == {"iteration": 1, "by": "validation", "checkpoint": f"{store.uri}/{LAYOUT.checkpoint(1)}"}
    assert [entry["validation"] and entry["validation"]["correct"] for entry in summary["iterations"]] == [None, 2, 1]
    assert [entry["correct"] for entry in summary["iterations"]] == [2, 0, 4], "of the benchmark alone"
    assert (summary["paired"]["wins"], summary["paired"]["losses"]) == (2, 0)
    assert table(summary).endswith("to use: iteration 1, by held-out pairs right in both orders: iteration 1 2/3, iteration 2 1/3")


def test_without_held_out_pairs_the_last_judge_is_to_be_used_and_it_says_why(store: ObjectStore, tmp_path: Path) -> None:
    trained(store)
    for iteration in (0, 1, 2):
        evaluated(store, tmp_path / "rows", iteration, {"held-out": [True]})
    summary = summarize(a_run(evaluate=BENCHMARK), store, 1.0)
    assert (summary["chosen"]["iteration"], summary["chosen"]["by"]) == (2, "last")
    assert table(summary).endswith("to use: iteration 2, the last one; no pairs are held out to choose by")


def test_judges_without_a_benchmark_are_not_compared_with_a_seed_that_was_not_scored(store: ObjectStore, tmp_path: Path) -> None:
    trained(store)
    evaluated(store, tmp_path / "rows", 1, {VALIDATION: [False, False]})
    evaluated(store, tmp_path / "rows", 2, {VALIDATION: [True, True]})
    summary = summarize(a_run(instructions={"uri": "s3://b/i.jsonl", "validation": 3}), store, 1.0)
    assert summary["paired"] == {"wins": 0, "losses": 0, "p": 1.0}
    assert summary["chosen"]["iteration"] == 2


def test_nothing_is_chosen_before_a_judge_is_there(store: ObjectStore) -> None:
    assert summarize(a_run(), store, 1.0)["chosen"] is None
