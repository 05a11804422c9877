"""What is told about a finished run: counts, intervals and paired tests for every judge on every benchmark, and the choice of one."""

from pathlib import Path
from typing import Any

import pytest

from selftrain.api.load import run_of
from selftrain.api.names import Layout
from selftrain.api.records import VALIDATION, BenchmarkResult, Guesses, Manifest, Official, Order, Tally
from selftrain.api.stages import Stage, Step
from selftrain.api.v1alpha1 import SelfTrainRun
from selftrain.report.summary import summarize
from selftrain.report.table import table
from selftrain.storage.commit import commit, write_shard
from selftrain.storage.folder import FolderStore
from selftrain.storage.protocol import ObjectStore
from selftrain.storage.tables import EVALUATIONS, write_table

WORK = "0" * 64
SPEC = {
    "iterations": 2,
    "model": {"uri": "s3://bucket/model"},
    "store": {"uri": "s3://bucket/runs"},
    "instructions": {"uri": "s3://bucket/i.jsonl"},
    "evaluate": {"benchmarks": [{"name": name, "uri": f"s3://bucket/{name}.jsonl"} for name in ("near", "far")]},
}
INSTRUCTIONS = {"uri": "s3://bucket/i.jsonl", "validation": 3}
LAYOUT = Layout("default", "small", "local")


def a_run(**spec: Any) -> SelfTrainRun:
    return run_of({"apiVersion": "selftrain.dev/v1alpha1", "kind": "SelfTrainRun", "metadata": {"name": "small"}, "spec": SPEC | spec})


RUN = a_run()


def judged(benchmark: str, verdicts: str, sample: int = 0) -> list[dict[str, Any]]:
    """One pair a letter pair: what was said in the two orders, `-` for nothing."""
    return [
        {
            "benchmark": benchmark,
            "pair_id": f"p{place // 2}",
            "order": tuple(Order)[place % 2].value,
            "sample": sample,
            "trace": "",
            "verdict": None if said == "-" else said,
            "finish": "stop",
            "tokens": 1,
            "correct": said == "AB"[place % 2],
        }
        for place, said in enumerate(verdicts)
    ]


def result(benchmark: str, correct: int, total: int, **more: Any) -> BenchmarkResult:
    tally = Tally(correct=correct, total=total, pairs=total // 2)
    fields = {"overall": tally, "lenient": tally, "always_a": Tally(correct=total // 2, total=total), "longer_wins": tally, **more}
    return BenchmarkResult(benchmark=benchmark, votes=1, **fields)


def decided(benchmark: str, right: list[bool]) -> list[dict[str, Any]]:
    """Pairs that are decided right or wrong, both orders alike."""
    return judged(benchmark, "".join("AB" if one else "BA" for one in right))


def strictly(benchmark: str, right: list[bool]) -> BenchmarkResult:
    """The result of these pairs."""
    told = result(benchmark, 2 * sum(right), 2 * len(right))
    return told.model_copy(update={"overall": told.overall.model_copy(update={"strict_correct": sum(right)})})


def trained(store: ObjectStore) -> None:
    for step in (Step(1, Stage.GENERATE), *(Step(n, stage) for n in (1, 2) for stage in (Stage.JUDGE, Stage.SELECT, Stage.TRAIN))):
        done = Manifest(run="small", iteration=step.iteration, stage=step.stage, attempt=1, work=WORK, inputs={}, parts=[])
        prefix = f"judge/checkpoint-{step.iteration}/" if step.stage is Stage.TRAIN else None
        commit(store, LAYOUT, done.model_copy(update={"checkpoint": prefix}))


def examined(store: FolderStore, folder: Path, iteration: int, right: dict[str, list[bool]]) -> None:
    """An evaluation by what was decided right in each exam."""
    rows = [row for name, known in right.items() for row in decided(name, known)]
    told = {name: strictly(name, known) for name, known in right.items()}
    validation = told.pop(VALIDATION, None)
    evaluated(store, folder, iteration, rows, list(told.values()), validation)


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    """The seed is right in 2 of 4 on near, its votes in 3; both judges in all 4, and on far the last one loses both."""
    made = FolderStore(tmp_path)
    voted = result("near", 3, 4).model_copy(update={"votes": 3})
    seed = [result("near", 2, 4, voted=voted, disagreements=1), result("far", 2, 2, parts={"x": Tally(correct=2, total=2)})]
    rows = [*judged("near", "AABB"), *(row for sample in (1, 2, 3) for row in judged("near", "ABBB", sample)), *judged("far", "AB")]
    evaluated(made, tmp_path, 0, rows, seed)
    better = [result("near", 4, 4), result("far", 2, 2, parts={"x": Tally(correct=2, total=2)})]
    evaluated(made, tmp_path, 1, [*judged("near", "ABAB"), *judged("far", "AB")], better)
    worse = [result("near", 4, 4), result("far", 0, 2, parts={"x": Tally(correct=0, total=2)})]
    evaluated(made, tmp_path, 2, [*judged("near", "ABAB"), *judged("far", "B-")], worse)
    return made


def evaluated(
    store: FolderStore, folder: Path, iteration: int, rows: list[dict[str, Any]], results: list[BenchmarkResult],
    validation: BenchmarkResult | None = None,
) -> None:  # fmt: skip
    step, path = Step(iteration, Stage.EVALUATE), folder / f"{iteration}.parquet"
    shard = write_shard(store, LAYOUT, step, 0, path, work=WORK, of=1, rows=write_table(rows, EVALUATIONS, path))
    manifest = Manifest(
        run="small", iteration=iteration, stage=Stage.EVALUATE, attempt=1, work=WORK, inputs={}, parts=[shard.part],
        results=results, validation=validation,
    )  # fmt: skip
    assert commit(store, LAYOUT, manifest)


def test_every_judge_is_compared_with_the_seed_on_every_benchmark(store: FolderStore) -> None:
    iterations = summarize(RUN, store)["iterations"]
    told = [{score["benchmark"]: score.get("paired") for score in entry["benchmarks"]} for entry in iterations]
    nothing = {"wins": 0, "losses": 0, "p": 1.0}
    assert told == [
        {"near": None, "far": None},
        {"near": {"wins": 2, "losses": 0, "p": 0.5}, "far": nothing},
        {"near": {"wins": 2, "losses": 0, "p": 0.5}, "far": {"wins": 0, "losses": 1, "p": 1.0}},
    ], "a pair of which both orders are lost is lost once"


def test_a_file_that_is_asked_about_twice_has_its_items_once(tmp_path: Path) -> None:
    """As for one vote and for many. Over all benchmarks a pair that is won in both is won once."""
    twice = a_run(evaluate={"benchmarks": [{"name": name, "uri": "s3://bucket/near.jsonl"} for name in ("near", "again")]})
    store = FolderStore(tmp_path)
    for iteration, right in ((0, False), (1, True)):
        examined(store, tmp_path, iteration, {name: [right] * 5 for name in ("near", "again")})
    summary = summarize(twice, store)
    assert summary["paired"] == {"wins": 5, "losses": 0, "p": 2 / 2**5}
    assert [score["paired"]["wins"] for score in summary["iterations"][1]["benchmarks"]] == [5, 5]


def test_the_seeds_votes_are_a_judge_of_their_own(store: FolderStore) -> None:
    near = summarize(RUN, store)["iterations"][0]["benchmarks"][0]
    assert (near["correct"], near["voted"]["correct"], near["voted"]["votes"]) == (2, 3, 3)
    assert near["voted"]["paired"] == {"wins": 1, "losses": 0, "p": 1.0}


def test_every_judge_is_compared_with_the_seeds_votes(store: FolderStore) -> None:
    iterations = summarize(RUN, store)["iterations"]
    told = [[score.get("paired_with_votes") for score in entry["benchmarks"]] for entry in iterations]
    assert told == [[None, None], *[[{"wins": 1, "losses": 0, "p": 1.0}, None]] * 2]
    assert "against its votes" in table(summarize(RUN, store))


def test_a_benchmarks_own_score_is_told_with_its_parts(tmp_path: Path) -> None:
    told = Official(overall=0.5, interval=(0.1, 0.9), count=2, parts={"Chat": 0.5, "x": 1.0}, intervals={"Chat": (0.1, 0.9)})
    own = result("near", 4, 4, official=told, parts={"x": Tally(correct=4, total=4)})
    evaluated(FolderStore(tmp_path), tmp_path, 0, judged("near", "ABAB"), [own])
    lines = table(summarize(RUN, FolderStore(tmp_path))).splitlines()
    assert "by its own rules: 0.500 (0.100 to 0.900)" in lines
    assert "  Chat: 0.500 (0.100 to 0.900)" in lines
    assert not any(line.startswith("  x:") for line in lines), "a subset stands among the parts already"


def test_the_last_judges_votes_are_one_too(tmp_path: Path) -> None:
    """The seed is right in one of two pairs and its votes in none; the judge in both, its votes in one."""
    store, voted = FolderStore(tmp_path), result("near", 2, 4)
    for iteration, said, votes in ((0, "ABBA", "BABA"), (1, "ABAB", "ABBA")):
        rows = [*judged("near", said), *(row for sample in (1, 2, 3) for row in judged("near", votes, sample))]
        evaluated(store, tmp_path, iteration, rows, [result("near", 2, 4, voted=voted.model_copy(update={"votes": 3}))])
    seed, first = (entry["benchmarks"][0] for entry in summarize(RUN, store)["iterations"])
    won, even = {"wins": 1, "losses": 0, "p": 1.0}, {"wins": 0, "losses": 0, "p": 1.0}
    assert (first["paired"], first["paired_with_votes"]) == (won, {"wins": 2, "losses": 0, "p": 0.5})
    assert (first["voted"]["paired"], first["voted"]["paired_with_votes"]) == (even, won)
    assert "paired_with_votes" not in seed["voted"]


def test_styles_of_one_item_are_won_once(tmp_path: Path) -> None:
    """The nine pairs of an RM-Bench item stand and fall together."""
    store = FolderStore(tmp_path)
    benchmark = {"name": "styles", "uri": "s3://bucket/styles.json", "format": "rm-bench"}
    for iteration, said in ((0, "BA"), (1, "AB")):
        rows = [row | {"pair_id": f"chat/{item}/{style}-0"} for item in (1, 2) for style in range(3) for row in judged("styles", said)]
        evaluated(store, tmp_path, iteration, rows, [result("styles", 12 * iteration, 12)])
    [_, first] = summarize(a_run(evaluate={"benchmarks": [benchmark]}), store)["iterations"]
    assert first["paired"] == {"wins": 2, "losses": 0, "p": 0.5}


def test_the_last_judge_is_compared_on_all_benchmarks_together(store: FolderStore) -> None:
    assert summarize(RUN, store)["paired"] == {"wins": 2, "losses": 1, "p": 1.0}


def test_scores_come_with_intervals_both_readings_and_baselines(store: FolderStore) -> None:
    entry = summarize(RUN, store)["iterations"][0]
    near = entry["benchmarks"][0]
    assert entry["correct"] == near["correct"] == 2, "the first benchmark stands in the iteration itself"
    assert near["interval"] == [0.15, 0.85]
    assert (near["lenient"]["correct"], near["disagreements"]) == (2, 1)
    assert near["baselines"]["random"] == {"expected": 2.0, "total": 4}
    assert near["baselines"]["always_a"]["correct"] == 2


def test_the_tables_show_each_judge_in_a_line(store: FolderStore) -> None:
    lines = [line.split("  ") for line in table(summarize(RUN, store)).splitlines()]
    firsts = [line[0] for line in lines]
    judges = ["random, expected", "always A", "longer wins", "seed"]
    assert firsts[:4] == ["iteration", "seed", "1", "2"]
    near, far = firsts.index("near"), firsts.index("far")
    assert firsts[near + 1 : near + 8] == [*judges, "seed, 3 votes", "1", "2"]
    assert firsts[far + 1 : far + 7] == [*judges, "1", "2"]
    assert lines[near + 6][-1].strip() == "1 won, 0 lost, p = 1"
    assert "x: 2/2 (0.342 to 1.000), 2/2 (0.342 to 1.000), 0/2 (0.000 to 0.658)" in firsts
    assert firsts[-1] == "last judge against the seed: 2 won, 1 lost, p = 1 (exact sign test, item by item)"


def test_a_run_that_has_only_begun_has_a_summary_too(tmp_path: Path) -> None:
    summary = summarize(RUN, FolderStore(tmp_path))
    assert summary == {"iterations": [], "seconds": 0, "chosen": None, "paired": {"wins": 0, "losses": 0, "p": 1.0}}
    assert "0 won, 0 lost" in table(summary)


def test_items_with_many_answers_are_compared_as_a_whole(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    for iteration, ratings in ((0, ("5", "5")), (1, ("6", "5"))):
        rows = [row | {"order": key, "verdict": said, "correct": None} for row in judged("near", "A")
                for key, said in zip(("right-1", "wrong-1"), ratings, strict=True)]  # fmt: skip
        evaluated(store, tmp_path, iteration, rows, [result("near", iteration, 1, random=0.25)])
    summary = summarize(RUN, store)
    seed, first = (entry["benchmarks"][0] for entry in summary["iterations"])
    assert "  -            0/1" in table(summary), "such items have no two orders"
    assert first["paired"] == {"wins": 1, "losses": 0, "p": 1.0}
    assert seed["baselines"]["random"] == {"expected": 0.25, "total": 1}


def test_the_judge_to_use_is_told_with_what_it_was_chosen_by(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    trained(store)
    examined(store, tmp_path, 0, {"near": [True, False]})
    examined(store, tmp_path, 1, {"near": [False, False], VALIDATION: [True, True, False]})
    examined(store, tmp_path, 2, {"near": [True, True], VALIDATION: [False, True, False]})
    summary = summarize(a_run(instructions=INSTRUCTIONS), store)
    assert summary["chosen"] == {"iteration": 1, "by": "validation", "checkpoint": "s3://bucket/runs/judge/checkpoint-1/"}
    assert [entry["validation"] and entry["validation"]["correct"] for entry in summary["iterations"]] == [None, 2, 1]
    assert [entry["correct"] for entry in summary["iterations"]] == [2, 0, 4], "of the benchmark alone"
    assert [[score["benchmark"] for score in entry["benchmarks"]] for entry in summary["iterations"]] == [["near"]] * 3
    assert (summary["paired"]["wins"], summary["paired"]["losses"]) == (1, 0)
    assert table(summary).endswith("to use: iteration 1, by held-out pairs right in both orders: iteration 1 2/3, iteration 2 1/3")


def test_without_held_out_pairs_the_last_judge_is_to_be_used_and_it_says_why(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    trained(store)
    for iteration in (0, 1, 2):
        examined(store, tmp_path, iteration, {"near": [True]})
    summary = summarize(RUN, store)
    assert (summary["chosen"]["iteration"], summary["chosen"]["by"]) == (2, "last")
    assert table(summary).endswith("to use: iteration 2, the last one; no pairs are held out to choose by")


def test_the_time_of_a_run_is_what_its_stages_worked(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    for step, seconds in ((Step(1, Stage.GENERATE), 10.25), (Step(1, Stage.JUDGE), 20.5), (Step(2, Stage.JUDGE), 30.0)):
        manifest = Manifest(
            run="small", iteration=step.iteration, stage=step.stage, attempt=1, work=WORK, inputs={}, parts=[], seconds=seconds
        )
        commit(store, LAYOUT, manifest)
    summary = summarize(RUN, store)
    assert summary["seconds"] == 60.8
    assert [entry["seconds"] for entry in summary["iterations"]] == [{"generate": 10.2, "judge": 20.5}, {"judge": 30.0}]


def test_where_a_probe_prefers_nothing_its_interval_has_chance_in_the_middle(tmp_path: Path) -> None:
    store, told = FolderStore(tmp_path), {"error": Guesses(correct=2, ties=4, total=8)}
    manifest = Manifest(run="small", iteration=1, stage=Stage.GENERATE, attempt=1, work=WORK, inputs={}, parts=[], embedding_probe=told)
    commit(store, LAYOUT, manifest)
    probe = summarize(RUN, store)["iterations"][0]["embedding_probe"]["error"]
    assert {name: probe[name] for name in ("correct", "ties", "total")} == {"correct": 2, "ties": 4, "total": 8}
    assert sum(probe["interval"]) == pytest.approx(1)


def test_judges_without_a_benchmark_are_not_compared_with_a_seed_that_was_not_scored(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    trained(store)
    examined(store, tmp_path, 1, {VALIDATION: [False, False]})
    examined(store, tmp_path, 2, {VALIDATION: [True, True]})
    summary = summarize(a_run(instructions=INSTRUCTIONS, evaluate={}), store)
    assert summary["paired"] == {"wins": 0, "losses": 0, "p": 1.0}
    assert summary["chosen"]["iteration"] == 2
    assert "iteration 2 2/2" in table(summary)
