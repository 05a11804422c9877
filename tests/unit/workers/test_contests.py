"""evaluate: items with many answers."""

from typing import Any

import pytest

from helpers.bench import Bench, held_out, manifest, rows, trained
from helpers.files import as_lines
from helpers.fixtures import MICRO
from selftrain.api.pair_files import Mode
from selftrain.api.records import Frozen, Overlap
from selftrain.api.stages import Stage
from selftrain.method.benchmarks import rmbench
from selftrain.method.contests import by_chance
from selftrain.report.summary import hits
from selftrain.workers import evaluate, preflight

CONTESTS: list[dict[str, Any]] = [
    *({"id": str(n), "prompt": f"Task {n}.", "chosen": [f"right {n}"], "rejected": [f"wrong {n} {w}" for w in "abc"], "subset": "Math"}
      for n in range(5)),
    {"id": "ref:1", "prompt": "Name a colour.", "chosen": ["right red"], "rejected": ["wrong four"], "subset": "Ties"},
    {"id": "tied:1", "prompt": "Name a colour.", "chosen": ["right red", "right blue"], "rejected": ["wrong four"], "subset": "Ties"},
]  # fmt: skip


def contest_spec(bench: Bench, **entry: Any) -> dict[str, Any]:
    path = as_lines(bench.folder / "contests.jsonl", CONTESTS)
    benchmarks = [
        {"name": "held-out", "uri": f"file://{MICRO}/benchmark.jsonl"},
        {"name": "many", "uri": f"file://{path}", "format": "rewardbench2", **entry},
    ]
    return {"evaluate": {"shards": 3, "maxTokens": 64, "majorityOf": 1, "benchmarks": benchmarks}}


def knows(text: str, _seed: int) -> str:
    """Tells right answers by what they say, in each of the forms."""
    if "[The End of the Assistant's Answer]" in text:
        return "I see. [[9]]" if "\nright" in text else "I see. [[2]]"
    letters = [letter for letter in "ABCD" if f"[The Start of Assistant {letter}'s Answer]\nright" in text]
    return f"I see. [[{(letters or ['A'])[0]}]]"


@pytest.mark.parametrize(("mode", "asked"), [("pairwise", 5 * 12), ("ranking", 5), ("rating", 5 * 4)])
@pytest.mark.parametrize("votes", [1, 2])
def test_items_with_many_answers_are_judged_in_each_mode(bench: Bench, mode: str, asked: int, votes: int) -> None:
    bench.engine.say = knows
    context = bench.context(Stage.EVALUATE, iteration=0, **contest_spec(bench, mode=mode, votes=votes))
    evaluate.run(context, bench.load)
    pairs, many = manifest(context).results
    ties = 2 + 3
    assert manifest(context).counts["judgments"] == 16 + votes * (asked + ties) == len(rows(context))
    assert (many.overall.correct, many.overall.total, many.votes) == (7, 7, votes)
    assert many.official is not None
    assert many.official.parts["Math"] == 1
    assert many.official.parts["Ties"] == pytest.approx(1.0, abs=0.011)
    assert pairs.overall.total == 16
    assert {row["correct"] for row in rows(context) if row["order"] == "right-1"} == {None}, "a rating alone is neither right nor wrong"


STYLED = [
    {"id": n, "domain": "math", "prompt": f"Task {n}.", "chosen": [f"right {n} {s}" for s in "abc"],
     "rejected": [f"wrong {n} {s}" for s in "abc"]}
    for n in range(4)
]  # fmt: skip


@pytest.mark.parametrize("votes", [1, 2])
def test_an_answer_that_several_pairs_show_is_rated_once(bench: Bench, votes: int) -> None:
    """Nine pairs an item of six answers. The judge gives the third wrong answer more than the first right one."""
    marks = {"right": [5, 7, 9], "wrong": [2, 3, 6]}

    def say(text: str, _seed: int) -> str:
        [kind, _, style] = text.partition("\n[The Start of the Assistant's Answer]\n")[2].split()[:3]
        return f"I see. [[{marks[kind]['abc'.index(style)]}]]"

    bench.engine.say = say
    entry = {"name": "styled", "uri": f"file://{as_lines(bench.folder / 'styled.jsonl', STYLED)}", "format": "rm-bench", "mode": "rating"}
    spec = {"shards": 2, "maxTokens": 64, "majorityOf": 1, "benchmarks": [{**entry, "votes": votes}]}
    context = bench.context(Stage.EVALUATE, iteration=0, evaluate=spec)
    evaluate.run(context, bench.load)
    assert len(bench.engine.asked) == 4 * 6
    assert manifest(context).counts["judgments"] == len(rows(context)) == 4 * 18 * votes, "each pair has its own rows"
    [styled] = manifest(context).results
    assert (styled.overall.correct, styled.overall.total) == (4 * 8, 4 * 9)
    assert styled.official is not None
    assert [styled.official.parts[level] for level in ("easy", "normal", "hard")] == pytest.approx([1, 1, 2 / 3])
    assert sum(hits(context.store, manifest(context)).values()) == 4 * 8


def test_an_answer_is_rated_alike_in_each_shard_that_shows_it(bench: Bench) -> None:
    """Five shards of 36 pairs tear items apart. A judge whose words hang on the seed alone says the same of an answer."""
    bench.engine.say = lambda _text, seed: f"So, [[{1 + seed % 10}]]."
    entry = {"name": "styled", "uri": f"file://{as_lines(bench.folder / 'styled.jsonl', STYLED)}", "format": "rm-bench", "mode": "rating"}
    spec = {"shards": 5, "maxTokens": 64, "majorityOf": 1, "benchmarks": [{**entry, "votes": 3}]}
    context = bench.context(Stage.EVALUATE, iteration=0, evaluate=spec)
    evaluate.run(context, bench.load)
    assert len(bench.engine.asked) > 4 * 6
    said: dict[tuple[str, int], set[str]] = {}
    for row in rows(context):
        item, i, j = rmbench.cell_of(row["pair_id"])
        answer = f"{item} right {i}" if row["order"] == "right-1" else f"{item} wrong {j}"
        said.setdefault((answer, row["sample"]), set()).add(row["verdict"])
    assert len(said) == 4 * 6 * 3
    assert {len(verdicts) for verdicts in said.values()} == {1}


def test_votes_and_prompts_that_do_not_fit_count_for_many_answers_too(bench: Bench) -> None:
    bench.engine.say, bench.engine.limit = knows, 10
    spec = contest_spec(bench, mode="ranking")
    spec["evaluate"]["majorityOf"] = 3
    context = bench.context(Stage.EVALUATE, iteration=0, **spec)
    evaluate.run(context, bench.load)
    _, many = manifest(context).results
    assert (many.overall.unparsed, many.voted and many.voted.overall.unparsed) == (7, 7)
    assert many.official is not None
    assert many.official.parts["Math"] == 0.25


def test_contests_and_held_out_pairs_are_examined_beside_each_other(bench: Bench) -> None:
    """Five of the instructions are a benchmark's; three of all are held out. Only the seed votes once more."""
    by_marker = bench.engine.say
    bench.engine.say = lambda text, seed: knows(text, seed) if "\nright" in text or "\nwrong" in text else by_marker(text, seed)
    bench.write_instructions([*(f"Task {n}." for n in range(5)), *(f"Do thing {n}." for n in range(5))])
    spec = {**contest_spec(bench, mode="ranking"), **held_out(bench)}
    spec["evaluate"]["majorityOf"] = 3
    seed, context = (bench.context(Stage.EVALUATE, iteration=iteration, **spec) for iteration in (0, 1))
    evaluate.run(seed, bench.load)
    trained(bench, **spec)
    evaluate.run(context, bench.load)
    done, before = manifest(context), manifest(seed)
    assert [result.benchmark for result in done.results] == ["held-out", "many"]
    assert done.validation is not None
    assert (done.validation.overall.pairs, done.validation.voted, done.validation.overlap) == (3, None, None)
    assert done.prompts.keys() == {"judge", "ranking", "rating"}
    learnt = {row["pair_id"] for row in rows(bench.context(Stage.SELECT, **spec))}
    known = {row["instruction"] for row in rows(bench.context(Stage.GENERATE, **spec)) if row["pair_id"] in learnt}
    assert done.results[1].overlap == Overlap(pairs=6, instructions=sum(f"Task {n}." in known for n in range(5)), answers=0)
    assert {name for name, _, _ in hits(context.store, done)} == {"held-out", "many"}, "what chooses does not measure"
    assert done.card is not None
    told = context.store.read(done.card.key).decode().partition("### many")[2]
    voted = before.results[1].voted
    assert voted is not None
    rates = (5 / 4 + by_chance(1, 1, Mode.RATING) + by_chance(2, 1, Mode.RATING), voted.overall.correct, done.results[1].overall.correct)
    for name, right in zip(("random, expected", "seed, 3 votes", "iteration 1"), rates, strict=True):
        assert f"| {name} | {right:g} of 7 |" in told
    assert "Read leniently, as benchmarks do: 7 of 7." in told
    assert "Right by order" not in told, "such items have no two orders"


def test_preflight_freezes_the_prompts_that_are_used(bench: Bench) -> None:
    context = bench.context(Stage.EVALUATE, iteration=0, **contest_spec(bench, mode="ranking"))
    preflight.run(context)
    frozen = Frozen.model_validate_json(context.store.read(context.layout.run))
    assert {"prompt/judge", "prompt/ranking", "prompt/rating"} <= frozen.inputs.keys()
