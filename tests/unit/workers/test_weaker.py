"""A weaker model's answers as the worse ones."""

from typing import Any

import pytest

from helpers.bench import Bench, by_seed, bytes_of, classifying, make_pairs, manifest, marker, rows
from helpers.fixtures import MODEL
from selftrain.api.conditions import Reason
from selftrain.api.errors import PlatformError
from selftrain.api.records import Drop
from selftrain.api.stages import Stage
from selftrain.workers import weaker
from selftrain.workers.context import Context
from selftrain.workers.engine import Completion

WEAKER = {"weaker": {"uri": f"file://{MODEL}"}}


def weaker_spec(*others: str) -> dict[str, Any]:
    kinds = [{"kind": "weaker", "weight": 1000}, *({"kind": kind} for kind in others)]
    return {**WEAKER, "generate": {"shards": 3, "maxTokens": 64, "negatives": kinds}}


def make_weaker(bench: Bench, **spec: Any) -> Context:
    context = bench.context(Stage.GENERATE, iteration=0, **spec)
    weaker.run(context, bench.load)
    return context


def test_a_weaker_models_answer_is_the_worse_one(bench: Bench) -> None:
    bench.engine.say = lambda _text, seed: f"weak {seed}"
    before = make_weaker(bench, **weaker_spec())
    assert manifest(before).counts == {"rows": 10, "instructions": 10, "answers": 10}
    assert manifest(before).inputs.keys() == {"instructions", "weaker"}
    bench.engine.say = lambda _text, seed: f"good {seed}"
    context = make_pairs(bench, **weaker_spec())
    assert [row["rejected"] for row in rows(context)] == [row["answer"] for row in rows(before)]
    assert all(row["chosen"].startswith("good") and row["kind"] == "weaker" for row in rows(context))
    assert manifest(context).inputs.keys() == {"instructions", "model", "iteration-000/generate"}
    assert len(bench.loads) == 2, "a model a step"


def test_weaker_answers_do_not_depend_on_how_they_are_cut_or_resumed(bench: Bench) -> None:
    bench.engine.say = lambda text, seed: f"{text} {seed}"
    context = make_weaker(bench, **weaker_spec())
    before, answers = bytes_of(context), rows(context)
    for key in (context.layout.manifest(context.work.step), marker(context, 1)):
        (bench.folder / "store" / key).unlink()
    bench.engine.asked.clear()
    assert bytes_of(make_weaker(bench, **weaker_spec())) == before
    assert len(bench.engine.asked) == 3, "one shard"
    spec = weaker_spec() | {"store": {"uri": f"file://{bench.folder}/store2"}}
    spec["generate"] = spec["generate"] | {"shards": 1}
    assert rows(make_weaker(bench, **spec)) == answers


def test_where_the_weaker_model_has_no_worse_answer_the_next_kind_is_tried(bench: Bench) -> None:
    said: dict[str, str | Completion] = {"0": "4", "1": " ", "2": Completion("wea", "length", 1), "3": "weak"}
    bench.engine.say = lambda text, _seed: said.get(text[9:-1], "4")
    before = make_weaker(bench, **weaker_spec("variation"))
    assert manifest(before).drops == {Drop.EMPTY_ANSWER: 1, Drop.TRUNCATED: 1}
    assert manifest(before).counts["answers"] == 8
    bench.engine.say = lambda text, seed: by_seed(text, seed) if "<instruction>" in text else "4"
    context = make_pairs(bench, **weaker_spec("variation"))
    kinds = {row["instruction"][9:-1]: row["kind"] for row in rows(context)}
    assert [kinds[number] for number in "0123"] == ["variation"] * 3 + ["weaker"]
    assert manifest(context).counts["pairs"] == 10


def test_without_another_kind_what_was_wrong_with_the_weaker_answer_is_counted(bench: Bench) -> None:
    said: dict[str, str | Completion] = {"1": " ", "2": Completion("wea", "length", 1), "3": "weak"}
    bench.engine.say = lambda text, _seed: said.get(text[9:-1], "4")
    make_weaker(bench, **weaker_spec())
    bench.engine.say = lambda _text, _seed: "4"
    context = make_pairs(bench, **weaker_spec())
    assert manifest(context).drops == {Drop.SAME_ANSWER: 7, Drop.EMPTY_ANSWER: 1, Drop.TRUNCATED: 1}
    assert manifest(context).counts["pairs"] == 1


def test_weaker_answers_find_their_instruction_beside_classification_and_a_hold_out(bench: Bench) -> None:
    spec = {**classifying(bench, categories=["coding"]), **weaker_spec()}
    spec["instructions"]["validation"] = 2
    say = bench.engine.say
    bench.engine.say = lambda text, _seed: f"weak at {text}"
    make_weaker(bench, **spec)
    bench.engine.say = say
    context = make_pairs(bench, **spec)
    pairs = [row for row in rows(context) if row["dropped"] is None]
    assert 0 < len(pairs) < 10, "some are not wanted"
    assert all(row["rejected"] == f"weak at {row['instruction']}" and row["split"] for row in pairs)


def test_pairs_need_the_weaker_models_answers(bench: Bench) -> None:
    with pytest.raises(PlatformError) as error:
        make_pairs(bench, **weaker_spec())
    assert error.value.reason is Reason.STORE_CORRUPT
