"""judge: every sample of every ordered pair."""

from collections import Counter

import pytest

from helpers.bench import Bench, held_out, make_judgments, make_pairs, manifest, rows, trained
from helpers.files import as_lines
from selftrain.api.conditions import Reason
from selftrain.api.errors import PlatformError, UserError
from selftrain.api.prompts import Prompts
from selftrain.api.records import Drop, Order
from selftrain.api.seeds import seed_of
from selftrain.api.stages import Stage
from selftrain.prompts import resolve
from selftrain.workers import evaluate, judge, select
from selftrain.workers.context import Context
from selftrain.workers.engine import Completion


def test_judge_writes_every_sample_of_both_orders(bench: Bench) -> None:
    context = make_judgments(bench)
    assert manifest(context).counts == {"pairs": 10, "ordered": 20, "judgments": 80, "unparsed": 0, "truncated": 0}
    keys = Counter((row["pair_id"], row["order"]) for row in rows(context))
    assert len(keys) == 20
    assert set(keys.values()) == {4}
    assert len({row["seed"] for row in rows(context)}) == 80
    assert all(row["verdict"] == "AB"[row["seed"] % 2] for row in rows(context)), "samples belong to their prompt"


def test_both_orders_of_a_pair_are_asked_side_by_side(bench: Bench) -> None:
    context = make_judgments(bench)
    orders = [row["order"] for row in rows(context) if row["sample"] == 0]
    assert orders == ["AB", "BA"] * 10


def test_one_random_order_is_drawn_by_the_seed(bench: Bench) -> None:
    context = make_judgments(bench, judge={"shards": 3, "samples": 1, "orders": "random"})
    orders = {row["pair_id"]: row["order"] for row in rows(context)}
    assert len(orders) == len(rows(context)) == 10
    assert set(orders.values()) == set(Order)


def test_judgments_may_be_sampled_with_another_prompt_than_they_are_learnt_with(bench: Bench) -> None:
    plan = f"Plan first. {resolve(Prompts(), 'judge').user}"
    spec = {"prompts": {"plan": {"user": plan}}, "judge": {"shards": 1, "samples": 4}}
    make_pairs(bench, **spec)
    before = len(bench.engine.asked)
    context = bench.context(Stage.JUDGE, **spec)
    judge.run(context, bench.load)
    asked = bench.engine.asked[before:]
    assert len(asked) == 20
    assert all("Plan first." in text for text in asked)
    assert manifest(context).prompts == {"plan": resolve(context.work.spec.prompts, "plan").sha256}
    learning = bench.context(Stage.SELECT, **spec)
    select.run(learning)
    assert manifest(learning).prompts == {"judge": resolve(Prompts(), "judge").sha256}
    assert all("Plan first." not in row["messages"][0]["content"] for row in rows(learning))


def test_every_iteration_judges_a_slice_of_its_own(bench: Bench) -> None:
    make_pairs(bench)
    judged = []
    for iteration in (1, 2, 3):
        model = bench.folder / f"judge-{iteration}"
        context = bench.context(Stage.JUDGE, judge={"shards": 3, "samples": 1, "slices": 2}, store={"uri": f"file://{bench.folder}/store"})
        rows_ = [{"pair_id": f"p{n}", "dropped": None, "instruction": f"x{n}", "chosen": "", "rejected": ""} for n in range(200)]
        work = context.work.model_copy(update={"iteration": iteration})
        asked = judge.ordered(Context(work, context.store, model, 0, context.drain), rows_)
        judged.append({ask.pair["pair_id"] for ask in asked})
    assert judged[0].isdisjoint(judged[1])
    assert len(judged[0] | judged[1]) == 200
    assert judged[2] == judged[0]
    assert 70 < len(judged[0]) < 130


def test_every_row_of_the_pairs_is_judged_or_counted(bench: Bench) -> None:
    """In each iteration: usable ones of its slice, held-out ones, those of other slices and what is no pair."""
    say = bench.engine.say
    bench.engine.say = lambda text, seed: "" if "thing 3" in text else say(text, seed)
    spec = held_out(bench) | {"judge": {"shards": 3, "samples": 8, "slices": 2}}
    trained(bench, 2, **spec)
    made = manifest(bench.context(Stage.GENERATE, **spec))
    for iteration in (1, 2):
        counts = manifest(bench.context(Stage.JUDGE, iteration, **spec)).counts
        assert counts["pairs held out"] == made.counts["pairs held out"]
        assert counts["pairs dropped before"] == sum(made.drops.values()) == 1
        used = [counts[name] for name in ("pairs", "pairs dropped before", "pairs held out", "pairs of other slices")]
        assert sum(used) == sum(part.rows or 0 for part in made.parts) == 10
        assert 8 * counts["ordered"] == 16 * counts["pairs"] == counts["judgments"]


def test_slices_are_by_instruction_whoever_made_the_pair(bench: Bench) -> None:
    """Three labelled pairs of each instruction. The slice of a synthetic one is drawn by its name, as ever."""
    own = [{"id": n, "instruction": f"Do thing {n % 10}.", "chosen": f"good {n}", "rejected": f"bad {n}"} for n in range(30)]
    spec = {"labelled": {"uri": f"file://{as_lines(bench.folder / 'own.jsonl', own)}"}, "judge": {"samples": 1, "slices": 3}}
    made = rows(make_pairs(bench, **spec))
    judged = {
        iteration: {row.pair["pair_id"] for row in judge.ordered(bench.context(Stage.JUDGE, iteration, **spec), made)}
        for iteration in (1, 2, 3)
    }
    told = {row["instruction"]: seed_of(42, "slice", row["pair_id"]) % 3 + 1 for row in made if row["kind"] != "labelled"}
    assert set(told.values()) == {1, 2, 3}
    assert {row["pair_id"]: {told[row["instruction"]]} for row in made} == {
        row["pair_id"]: {iteration for iteration, names in judged.items() if row["pair_id"] in names} for row in made
    }


def test_a_slice_without_a_pair_is_told(bench: Bench) -> None:
    """Ten pairs in fifty slices."""
    with pytest.raises(UserError, match="slice 1 of 50, which iteration 1 is to judge") as error:
        make_judgments(bench, judge={"shards": 3, "samples": 1, "slices": 50})
    assert error.value.reason is Reason.NO_PAIRS


def test_judgments_do_not_depend_on_how_they_are_cut(bench: Bench) -> None:
    first = rows(make_judgments(bench))
    again = bench.context(Stage.JUDGE, judge={"shards": 1, "samples": 4}, store={"uri": f"file://{bench.folder}/store2"})
    make_pairs(bench, store={"uri": f"file://{bench.folder}/store2"})
    judge.run(again, bench.load)
    assert rows(again) == first


def test_unparsed_judgments_are_counted_and_committed(bench: Bench) -> None:
    make_pairs(bench)
    bench.engine.say = lambda _text, _seed: "both are fine"
    context = bench.context(Stage.JUDGE)
    judge.run(context, bench.load)
    assert manifest(context).counts["unparsed"] == 80
    assert {row["verdict"] for row in rows(context)} == {None}


def test_judgments_that_end_at_max_tokens_are_kept_and_counted(bench: Bench) -> None:
    """Every other judgment is cut after its verdict, in judge and in evaluate."""
    by_marker = bench.engine.say
    bench.engine.say = lambda text, seed: Completion("[[A]] and", "length", 2) if "[[A]]" in text and seed % 2 else by_marker(text, seed)
    context = make_judgments(bench)
    cut = [row["verdict"] for row in rows(context) if row["finish"] == "length"]
    assert manifest(context).counts == {"pairs": 10, "ordered": 20, "judgments": 80, "unparsed": 0, "truncated": len(cut)}
    assert (set(cut), len(cut)) == ({"A"}, 40)
    assert manifest(context).drops == {}
    seed = bench.context(Stage.EVALUATE, iteration=0)
    evaluate.run(seed, bench.load)
    told = manifest(seed).counts
    assert 0 < told["truncated"] == sum(row["finish"] == "length" for row in rows(seed)) < told["judgments"]
    assert told["too-long"] == 0


def test_prompts_that_do_not_fit_are_counted(bench: Bench) -> None:
    make_pairs(bench)
    bench.engine.limit = 10
    context = bench.context(Stage.JUDGE)
    judge.run(context, bench.load)
    assert manifest(context).drops == {Drop.TOO_LONG: 20}
    assert manifest(context).counts == {"pairs": 10, "ordered": 20, "judgments": 0, "unparsed": 0, "truncated": 0}


def test_judge_needs_the_pairs(bench: Bench) -> None:
    with pytest.raises(PlatformError) as error:
        judge.run(bench.context(Stage.JUDGE), bench.load)
    assert error.value.reason is Reason.STORE_CORRUPT
