"""Labelled pairs beside synthetic ones or instead of them, and pairs that are held out."""

from collections import Counter
from typing import Any

import pytest

from helpers.bench import LABELLED, Bench, held_out, make_judgments, make_pairs, manifest, rows, trained, write_labelled
from helpers.files import as_lines
from selftrain.api.conditions import Reason
from selftrain.api.errors import UserError
from selftrain.api.records import Drop
from selftrain.api.stages import Stage
from selftrain.method.pairs import normal
from selftrain.workers import evaluate, select
from selftrain.workers.engine import Completion


def test_labelled_pairs_stand_beside_synthetic_ones(bench: Bench) -> None:
    context = make_pairs(bench, **write_labelled(bench, LABELLED))
    kinds = [row["kind"] for row in rows(context)]
    assert kinds == ["variation"] * 10 + ["labelled"] * 4
    assert [row["chosen"] for row in rows(context)[10:]] == [f"right {n}" for n in range(4)]
    assert len({row["pair_id"] for row in rows(context)}) == 14
    assert manifest(context).counts == {"rows": 14, "instructions": 10, "pairs": 14, "pairs by variation": 10, "pairs by labelled": 4}
    assert manifest(context).inputs.keys() == {"instructions", "labelled", "model"}


def test_with_labelled_pairs_only_no_engine_is_loaded(bench: Bench) -> None:
    context = make_pairs(bench, **write_labelled(bench, LABELLED), instructions=None)
    assert [row["rejected"] for row in rows(context)] == [f"wrong {n}" for n in range(4)]
    assert bench.loads == []
    assert manifest(context).counts["rows"] == 4


@pytest.mark.parametrize(("change", "words"), [({"rejected": ""}, "rejected has no text"), ({"id": 0}, "id 0 has been used before")])
def test_labelled_pairs_that_cannot_be_used_are_the_authors_to_correct(bench: Bench, change: dict[str, Any], words: str) -> None:
    spec = write_labelled(bench, [LABELLED[0], LABELLED[1] | change])
    with pytest.raises(UserError, match=words) as error:
        make_pairs(bench, **spec)
    assert error.value.reason is Reason.LABELLED_INVALID


def test_labelled_pairs_that_cannot_be_learnt_from_are_counted(bench: Bench) -> None:
    """HelpSteer2's pairs: two that are used, a tie, two answers equal but for case, and one more that nobody reads."""
    marks = [(4, "x", 2, "y"), (3, "x", 3, "y"), (4, "Yes, so.", 1, "yes,  so. "), (0, "x", 4, "y"), (1, "x", 1, "y")]
    both = [{"prompt": f"p{n}", "response": text, "helpfulness": mark} for n, row in enumerate(marks) for mark, text in (row[:2], row[2:])]
    uri = f"file://{as_lines(bench.folder / 'marks.jsonl', both)}"
    whole = make_pairs(bench, labelled={"uri": uri, "format": "helpsteer2"}, instructions=None)
    assert manifest(whole).counts == {"rows": 5, "pairs": 2, "pairs by labelled": 2}
    assert manifest(whole).drops == {Drop.TIE: 2, Drop.SAME_ANSWER: 1}
    first = make_pairs(bench, labelled={"uri": uri, "format": "helpsteer2", "limit": 2}, store={"uri": f"file://{bench.folder}/other"})
    assert [row["chosen"] for row in rows(first)[10:]] == ["x", "y"]
    assert (manifest(first).counts["rows"], manifest(first).drops) == (14, {Drop.TIE: 1, Drop.SAME_ANSWER: 1})


def test_a_labelled_pair_under_two_ids_is_learnt_from_once(bench: Bench) -> None:
    """Its opposite is another pair: people may disagree."""
    one = LABELLED[0]
    opposite = one | {"id": "c", "chosen": one["rejected"], "rejected": one["chosen"]}
    made = make_pairs(bench, **write_labelled(bench, [one, one | {"id": "b"}, opposite]), instructions=None)
    assert manifest(made).counts == {"rows": 3, "pairs": 2, "pairs by labelled": 2}
    assert manifest(made).drops == {Drop.DUPLICATE: 1}


def test_a_labelled_file_of_ties_alone_is_the_authors_to_correct(bench: Bench) -> None:
    spec = write_labelled(bench, [LABELLED[0] | {"rejected": "RIGHT  0"}])
    with pytest.raises(UserError, match=r"nothing in it can be learnt from \(1 same-answer\)") as error:
        make_pairs(bench, **spec)
    assert error.value.reason is Reason.LABELLED_INVALID


def test_held_out_pairs_are_written_marked_and_never_judged_for_training(bench: Bench) -> None:
    spec = held_out(bench)
    judged = make_judgments(bench, **spec)
    made = bench.context(Stage.GENERATE, **spec)
    sides = {row["pair_id"]: row["split"] for row in rows(made)}
    assert Counter(sides.values()) == {"train": 7, "validation": 3}
    assert manifest(made).counts == {"rows": 10, "instructions": 10, "pairs": 10, "pairs by variation": 10, "pairs held out": 3}
    assert {row["pair_id"] for row in rows(judged)} == {pair for pair, side in sides.items() if side == "train"}
    assert manifest(judged).counts["ordered"] == 14
    select.run(bench.context(Stage.SELECT, **spec))
    learnt = {row["pair_id"] for row in rows(bench.context(Stage.SELECT, **spec))}
    assert learnt
    assert {sides[pair] for pair in learnt} == {"train"}


def test_pairs_are_the_same_with_and_without_a_split(bench: Bench) -> None:
    plain = rows(make_pairs(bench))
    assert "split" not in plain[0], "runs without a split write the same bytes as ever"
    marked = rows(make_pairs(bench, **held_out(bench), store={"uri": f"file://{bench.folder}/other"}))
    assert [{name: value for name, value in row.items() if name != "split"} for row in marked] == plain


def test_a_labelled_pair_of_a_held_out_instruction_is_held_out_too(bench: Bench) -> None:
    made = make_pairs(bench, **held_out(bench))
    texts = {row["instruction"] for row in rows(made) if row["split"] == "validation"}
    own = [{"id": n, "instruction": f"do  THING {n}.\n", "chosen": "right", "rejected": "wrong"} for n in range(10)]
    spec = {"labelled": {"uri": f"file://{as_lines(bench.folder / 'own.jsonl', own)}"}, "store": {"uri": f"file://{bench.folder}/other"}}
    both = rows(make_pairs(bench, **held_out(bench), **spec))
    assert {normal(row["instruction"]) for row in both if row["split"] == "validation"} == {normal(text) for text in texts}
    assert len([row for row in both if row["split"] == "validation"]) == 6


def test_nothing_left_to_learn_from_is_the_authors_to_correct(bench: Bench) -> None:
    with pytest.raises(UserError, match="validation holds out 10 instructions, and there are only 10") as error:
        make_pairs(bench, **held_out(bench, 10))
    assert error.value.reason is Reason.INSTRUCTIONS_INVALID


def test_a_run_whose_usable_pairs_are_all_held_out_stops(bench: Bench) -> None:
    sides = {row["instruction"]: row["split"] for row in rows(make_pairs(bench, **held_out(bench, 5)))}
    say = bench.engine.say

    def only_held_out(text: str, seed: int) -> str | Completion:
        return say(text, seed) if any(side == "validation" and task in text for task, side in sides.items()) else " "

    bench.engine.say = only_held_out
    with pytest.raises(UserError) as error:
        make_pairs(bench, **held_out(bench, 5), store={"uri": f"file://{bench.folder}/other"})
    assert error.value.reason is Reason.NO_PAIRS


def test_judges_are_scored_on_the_synthetic_pairs_of_held_out_instructions(bench: Bench) -> None:
    """Ten instructions, of which three are held out, and for each a labelled pair too."""
    own = [{"id": n, "instruction": f"Do thing {n}.", "chosen": "right", "rejected": "wrong"} for n in range(10)]
    spec = {"evaluate": {"shards": 2, "maxTokens": 64}, **held_out(bench), **write_labelled(bench, own)}
    spec["labelled"]["limit"] = 10
    trained(bench, **spec)
    context = bench.context(Stage.EVALUATE, **spec)
    evaluate.run(context, bench.load)
    told = manifest(context)
    pairs = {row["pair_id"] for row in rows(bench.context(Stage.GENERATE)) if row["split"] == "validation" and row["kind"] == "variation"}
    assert {row["pair_id"] for row in rows(context)} == pairs
    assert len(pairs) == 3
    assert told.validation is not None
    assert told.results == [], "no benchmark"
    assert (told.validation.overall.pairs, told.validation.overall.total) == (3, 6)
    right = Counter(row["pair_id"] for row in rows(context) if row["correct"])
    assert told.validation.overall.strict_correct == list(right.values()).count(2)
    assert told.inputs.keys() == {"iteration-001/train", "iteration-001/generate"}
    seed = bench.context(Stage.EVALUATE, iteration=0, **spec)
    evaluate.run(seed, bench.load)
    assert manifest(seed).validation is None
