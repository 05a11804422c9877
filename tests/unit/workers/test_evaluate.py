"""evaluate: scores of pairs by one judgment or by votes."""

from collections import Counter
from typing import Any

from helpers.bench import Bench, manifest, marker, rows, trained
from helpers.files import as_lines
from helpers.fixtures import MICRO
from helpers.published import VOTE
from selftrain.api.records import Drop
from selftrain.api.stages import Stage
from selftrain.method.pairs import HeldOut
from selftrain.report.summary import hits
from selftrain.workers import evaluate
from selftrain.workers.exams import read_benchmarks


def test_evaluate_scores_every_benchmark(bench: Bench) -> None:
    context = bench.context(Stage.EVALUATE, iteration=0)
    evaluate.run(context, bench.load)
    single, voted = manifest(context).results
    assert (single.benchmark, single.votes, voted.benchmark, voted.votes) == ("held-out", 1, "voted", 3)
    assert single.overall.total == voted.overall.total == 2 * single.overall.pairs
    judged = rows(context)
    assert single.overall.correct == sum(row["correct"] for row in judged if row["benchmark"] == "held-out")
    assert Counter(row["benchmark"] for row in judged)["voted"] == 3 * voted.overall.total
    assert manifest(context).inputs.keys() == {"model", "benchmark/held-out", "benchmark/voted"}


def test_a_prompt_that_does_not_fit_is_a_wrong_verdict(bench: Bench) -> None:
    bench.engine.limit = 10
    context = bench.context(Stage.EVALUATE, iteration=0)
    evaluate.run(context, bench.load)
    single, _ = manifest(context).results
    assert (single.overall.correct, single.overall.unparsed) == (0, single.overall.total)
    assert single.overall.total > 0
    assert {row["finish"] for row in rows(context)} == {"too-long"}
    counts = manifest(context).counts
    assert counts["too-long"] == counts["judgments"] == counts["unparsed"] == len(rows(context))
    assert manifest(context).drops == {}, "kept, so nothing is left out"


def test_one_vote_is_greedy_and_more_are_sampled(bench: Bench) -> None:
    context = bench.context(Stage.EVALUATE, iteration=0)
    evaluate.run(context, bench.load)
    assert Counter(row["sample"] for row in rows(context))[0] == 2 * Counter(row["sample"] for row in rows(context))[1]


def test_both_readings_of_a_judgment_are_counted(bench: Bench) -> None:
    bench.engine.say = lambda _text, seed: "If it counts, [[A]], else [[B]]." if seed % 2 else "[[A]]"
    context = bench.context(Stage.EVALUATE, iteration=0)
    evaluate.run(context, bench.load)
    _, voted = manifest(context).results
    both = sum("else" in row["trace"] for row in rows(context) if row["benchmark"] == "voted")
    assert 0 < both == voted.disagreements < 3 * voted.overall.total
    assert (voted.lenient.correct, voted.lenient.a_verdicts) == (voted.overall.total / 2, voted.overall.total)
    assert voted.overall.correct == voted.lenient.correct, "one clear A in three is a majority"


MAJORITY = {"shards": 3, "maxTokens": 64, "majorityOf": 3, "benchmarks": [{"name": "held-out", "uri": f"file://{MICRO}/benchmark.jsonl"}]}


def test_the_seed_votes_too(bench: Bench) -> None:
    plain = bench.context(Stage.EVALUATE, iteration=0, store={"uri": f"file://{bench.folder}/plain"})
    evaluate.run(plain, bench.load)
    context = bench.context(Stage.EVALUATE, iteration=0, evaluate=MAJORITY)
    evaluate.run(context, bench.load)
    [result] = manifest(context).results
    assert result.voted is not None
    assert (result.votes, result.voted.votes) == (1, 3)
    assert result.voted.overall.total == result.overall.total == 16
    assert manifest(context).counts == {"ordered": 16, "judgments": 64, "unparsed": 0, "truncated": 0, "too-long": 0}
    own = [row for row in rows(context) if row["sample"] == 0]
    assert [row["trace"] for row in own] == [row["trace"] for row in rows(plain) if row["benchmark"] == "held-out"]
    majority = Counter((row["pair_id"], row["order"]) for row in rows(context) if row["sample"] > 0 and row["correct"])
    assert result.voted.overall.correct == sum(count >= 2 for count in majority.values())
    assert result.overall.correct == sum(row["correct"] for row in own)


def test_only_the_seed_and_the_last_judge_vote(bench: Bench) -> None:
    voted = [{"name": "voted", "uri": f"file://{MICRO}/benchmark.jsonl", "votes": 3}]
    context = bench.context(Stage.EVALUATE, iteration=0, evaluate={**MAJORITY, "benchmarks": voted})
    evaluate.run(context, bench.load)
    assert manifest(context).results[0].voted is None, "its own score is by vote"
    assert manifest(context).counts["judgments"] == 48
    for iteration, samples in ((0, [0, 1, 0, 1]), (1, [0, 0]), (5, [0, 1, 0, 1])):
        context = bench.context(Stage.EVALUATE, iteration=iteration, evaluate=MAJORITY)
        pair = HeldOut(id="p", instruction="", chosen="", rejected="", subset=None)
        [exam] = read_benchmarks(context)
        assert [ask.first for ask in evaluate.asked_about(exam, pair)] == samples


def test_a_run_prolonged_while_its_last_judge_is_scored_goes_on(bench: Bench) -> None:
    trained(bench)
    last = bench.context(Stage.EVALUATE, 1, iterations=1, evaluate=MAJORITY)
    evaluate.run(last, bench.load)
    for key in (last.layout.manifest(last.work.step), marker(last, 1)):
        (bench.folder / "store" / key).unlink()
    longer = bench.context(Stage.EVALUATE, 1, iterations=2, evaluate=MAJORITY)
    evaluate.run(longer, bench.load)
    assert manifest(longer).results[0].voted is None, "another one is the last now"


CONTESTS: list[dict[str, Any]] = [
    *({"id": str(n), "prompt": f"Task {n}.", "chosen": [f"right {n}"], "rejected": [f"wrong {n} {w}" for w in "abc"], "subset": "Math"}
      for n in range(5)),
    {"id": "ref:1", "prompt": "Name a colour.", "chosen": ["right red"], "rejected": ["wrong four"], "subset": "Ties"},
    {"id": "tied:1", "prompt": "Name a colour.", "chosen": ["right red", "right blue"], "rejected": ["wrong four"], "subset": "Ties"},
]  # fmt: skip


def test_people_without_a_winner_count_for_the_agreement_alone(bench: Bench) -> None:
    """Two people agree on the first question and disagree on the second; the judge always says A."""
    bench.engine.say = lambda _text, _seed: "[[A]]"
    said = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    votes = [
        VOTE | {"question_id": n, "winner": winner, "conversation_a": said, "conversation_b": said}
        for n, winner in ((1, "model_a"), (1, "model_a"), (2, "model_a"), (2, "model_b"), (2, "tie"))
    ]
    uri = f"file://{as_lines(bench.folder / 'votes.jsonl', votes)}"
    spec = {"shards": 1, "maxTokens": 64, "majorityOf": 1, "benchmarks": [{"name": "people", "uri": uri, "format": "mt-bench"}]}
    context = bench.context(Stage.EVALUATE, iteration=0, evaluate=spec)
    evaluate.run(context, bench.load)
    [people] = manifest(context).results
    assert (people.overall.correct, people.overall.total, people.overall.pairs) == (1, 2, 1)
    assert Counter(row["correct"] for row in rows(context)) == {None: 2, True: 1, False: 1}
    assert people.official is not None
    assert people.official.overall == 1 / 5, "it says tie of both, and one person does"
    assert hits(context.store, manifest(context)).keys() == {("people", "1/1/m/n", "AB"), ("people", "1/1/m/n", "BA")}


def test_what_a_benchmark_leaves_out_is_counted(bench: Bench) -> None:
    marks = [{"prompt": f"p{n // 2}", "response": f"r{n}", "helpfulness": mark} for n, mark in enumerate([1, 4, 3, 3])]
    uri = f"file://{as_lines(bench.folder / 'marks.jsonl', marks)}"
    spec = {"shards": 1, "maxTokens": 64, "benchmarks": [{"name": "marks", "uri": uri, "format": "helpsteer2"}]}
    context = bench.context(Stage.EVALUATE, iteration=0, evaluate=spec)
    evaluate.run(context, bench.load)
    assert manifest(context).drops == {Drop.TIE: 1}
    assert manifest(context).results[0].overall.pairs + manifest(context).drops[Drop.TIE] == len(marks) / 2
