"""generate, judge and evaluate as recipes: what they write, count, skip and refuse. The engine is a function here."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from huggingface_hub import ModelCard

from helpers.files import as_lines
from helpers.fixtures import MICRO, MODEL
from selftrain.api.conditions import Reason
from selftrain.api.errors import PlatformError, UserError
from selftrain.api.pair_files import Mode
from selftrain.api.records import Drop, Frozen, Guesses, Manifest, Order, Overlap, Part
from selftrain.api.seeds import seed_of
from selftrain.api.stages import Stage
from selftrain.method.contests import by_chance
from selftrain.method.pairs import HeldOut
from selftrain.report.summary import hits
from selftrain.storage.commit import commit, read_manifest
from selftrain.storage.digests import file_digest
from selftrain.workers import evaluate, generate, judge, preflight, select, shards, weaker
from selftrain.workers.card import write_card
from selftrain.workers.context import Context
from selftrain.workers.engine import Completion
from selftrain.workers.exams import read_benchmarks
from selftrain.workers.exits import Drained

if TYPE_CHECKING:
    from conftest import Bench


def manifest(context: Context) -> Manifest:
    found = read_manifest(context.store, context.layout, context.work.step)
    assert found is not None
    return found


def rows(context: Context, parts: list[Part] | None = None) -> list[dict[str, Any]]:
    root = context.work.spec.store.uri.removeprefix("file://")
    return [row for part in parts or manifest(context).parts for row in pq.read_table(f"{root}/{part.key}").to_pylist()]


def bytes_of(context: Context) -> list[str]:
    return [part.sha256 for part in manifest(context).parts]


def make_pairs(bench: "Bench", **spec: Any) -> Context:
    context = bench.context(Stage.GENERATE, **spec)
    generate.run(context, bench.load, bench.embedder)
    return context


def make_judgments(bench: "Bench", **spec: Any) -> Context:
    make_pairs(bench, **spec)
    context = bench.context(Stage.JUDGE, **spec)
    judge.run(context, bench.load)
    return context


def test_generate_writes_a_row_an_instruction_in_order(bench: "Bench") -> None:
    context = make_pairs(bench)
    assert [row["instruction"] for row in rows(context)] == [f"Do thing {number}." for number in range(10)]
    assert [part.rows for part in manifest(context).parts] == [3, 3, 4]
    assert manifest(context).counts == {"rows": 10, "instructions": 10, "pairs": 10, "pairs by variation": 10}
    assert manifest(context).drops == {}


def test_instructions_in_several_files_are_like_those_in_one(bench: "Bench") -> None:
    whole = make_pairs(bench)
    lines = (bench.folder / "instructions.jsonl").read_text().splitlines()
    for name, part in (("part-1.jsonl", lines[:4]), ("part-2.jsonl", lines[4:])):
        (bench.folder / name).write_text("\n".join(part))
    spec = {"instructions": {"uri": f"file://{bench.folder}/part-*.jsonl"}, "store": {"uri": f"file://{bench.folder}/other"}}
    parts = make_pairs(bench, **spec)
    assert rows(parts) == rows(whole)
    assert manifest(parts).inputs["instructions"] != manifest(whole).inputs["instructions"]


def test_the_meaning_of_answers_is_probed_by_kind(bench: "Bench") -> None:
    """Fine answers are near to what was to be done, and variations are not; labelled pairs are near to nothing."""
    context = make_pairs(bench, **write_labelled(bench, LABELLED))
    even = Guesses(correct=0, ties=4, total=4)
    assert manifest(context).embedding_probe == {"variation": Guesses(correct=10, total=10), "labelled": even}


def test_the_variation_prompt_shows_instruction_and_answer(bench: "Bench") -> None:
    row = rows(make_pairs(bench))[0]
    asked = next(text for text in bench.engine.asked if "<instruction>" in text)
    assert row["instruction"] in asked
    assert row["chosen"] in asked
    assert row["rejected"].startswith("Off")


def test_generate_counts_everything_it_leaves_out(bench: "Bench") -> None:
    bench.write_instructions(["good", "long", "cut", "cut variation", "mute", "odd", "good", " ", "same", "huge" * 3000])

    def say(text: str, _seed: int) -> str | Completion:
        if "<instruction>" not in text:
            return {"cut": Completion("half", "length", 1), "mute": " "}.get(text, f"Answer to {text}.")
        if "cut variation" in text:
            return Completion("<instruction>", "length", 1)
        if "Answer to odd." in text:
            return "I would rather not."
        return "<instruction>b</instruction><answer>" + ("Answer to same." if "Answer to same." in text else "c") + "</answer>"

    bench.engine.say, bench.engine.limit = say, 5000
    context = make_pairs(bench)
    assert manifest(context).drops == {
        Drop.NO_TEXT: 1, Drop.DUPLICATE: 1, Drop.TRUNCATED: 2, Drop.EMPTY_ANSWER: 1,
        Drop.MALFORMED: 1, Drop.SAME_ANSWER: 1, Drop.TOO_LONG: 1,
    }  # fmt: skip
    counts = manifest(context).counts
    assert counts["rows"] == counts["pairs"] + sum(manifest(context).drops.values()) == 10
    assert Counter(row["dropped"] for row in rows(context))[None] == counts["pairs"] == 2


def test_a_run_without_a_pair_stops_and_says_what_was_dropped(bench: "Bench") -> None:
    bench.engine.say = lambda _text, _seed: "no tags"
    context = bench.context(Stage.GENERATE)
    with pytest.raises(UserError) as error:
        generate.run(context, bench.load, bench.embedder)
    assert error.value.reason is Reason.NO_PAIRS
    assert "10 malformed" in error.value.message
    assert read_manifest(context.store, context.layout, context.work.step) is None


LABELLED = [{"id": n, "instruction": f"Task {n}.", "chosen": f"right {n}", "rejected": f"wrong {n}"} for n in range(5)]


def write_labelled(bench: "Bench", rows: list[dict[str, Any]]) -> dict[str, Any]:
    path = as_lines(bench.folder / "labelled.jsonl", rows)
    return {"labelled": {"uri": f"file://{path}", "limit": 4}}


def test_labelled_pairs_stand_beside_synthetic_ones(bench: "Bench") -> None:
    context = make_pairs(bench, **write_labelled(bench, LABELLED))
    kinds = [row["kind"] for row in rows(context)]
    assert kinds == ["variation"] * 10 + ["labelled"] * 4
    assert [row["chosen"] for row in rows(context)[10:]] == [f"right {n}" for n in range(4)]
    assert len({row["pair_id"] for row in rows(context)}) == 14
    assert manifest(context).counts == {"rows": 14, "instructions": 10, "pairs": 14, "pairs by variation": 10, "pairs by labelled": 4}
    assert manifest(context).inputs.keys() == {"instructions", "labelled", "model"}


def test_with_labelled_pairs_only_no_engine_is_loaded(bench: "Bench") -> None:
    context = make_pairs(bench, **write_labelled(bench, LABELLED), instructions=None)
    assert [row["rejected"] for row in rows(context)] == [f"wrong {n}" for n in range(4)]
    assert bench.loads == []
    assert manifest(context).counts["rows"] == 4


@pytest.mark.parametrize(("change", "words"), [({"rejected": ""}, "rejected has no text"), ({"id": 0}, "id 0 has been used before")])
def test_labelled_pairs_that_cannot_be_used_are_the_authors_to_correct(bench: "Bench", change: dict[str, Any], words: str) -> None:
    spec = write_labelled(bench, [LABELLED[0], LABELLED[1] | change])
    with pytest.raises(UserError, match=words) as error:
        make_pairs(bench, **spec)
    assert error.value.reason is Reason.LABELLED_INVALID


def test_labelled_pairs_that_cannot_be_learnt_from_are_counted(bench: "Bench") -> None:
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


def test_a_labelled_file_of_ties_alone_is_the_authors_to_correct(bench: "Bench") -> None:
    spec = write_labelled(bench, [LABELLED[0] | {"rejected": "RIGHT  0"}])
    with pytest.raises(UserError, match=r"none of its 1 pairs can be learnt from \(1 same-answer\)") as error:
        make_pairs(bench, **spec)
    assert error.value.reason is Reason.LABELLED_INVALID


def held_out(bench: "Bench", validation: int = 3) -> dict[str, Any]:
    return {"instructions": {"uri": f"file://{bench.folder}/instructions.jsonl", "validation": validation}}


def test_held_out_pairs_are_written_marked_and_never_judged_for_training(bench: "Bench") -> None:
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


def test_pairs_are_the_same_with_and_without_a_split(bench: "Bench") -> None:
    plain = rows(make_pairs(bench))
    assert "split" not in plain[0], "runs without a split write the same bytes as ever"
    marked = rows(make_pairs(bench, **held_out(bench), store={"uri": f"file://{bench.folder}/other"}))
    assert [{name: value for name, value in row.items() if name != "split"} for row in marked] == plain


def test_a_labelled_pair_of_a_held_out_instruction_is_held_out_too(bench: "Bench") -> None:
    made = make_pairs(bench, **held_out(bench))
    texts = {row["instruction"] for row in rows(made) if row["split"] == "validation"}
    own = [{"id": n, "instruction": f"Do thing {n}.", "chosen": "right", "rejected": "wrong"} for n in range(10)]
    spec = {"labelled": {"uri": f"file://{as_lines(bench.folder / 'own.jsonl', own)}"}, "store": {"uri": f"file://{bench.folder}/other"}}
    both = rows(make_pairs(bench, **held_out(bench), **spec))
    assert {row["instruction"] for row in both if row["split"] == "validation"} == texts
    assert len([row for row in both if row["split"] == "validation"]) == 6


def test_nothing_left_to_learn_from_is_the_authors_to_correct(bench: "Bench") -> None:
    with pytest.raises(UserError, match="validation holds out 10 instructions, and there are only 10") as error:
        make_pairs(bench, **held_out(bench, 10))
    assert error.value.reason is Reason.INSTRUCTIONS_INVALID


def test_a_run_whose_usable_pairs_are_all_held_out_stops(bench: "Bench") -> None:
    sides = {row["instruction"]: row["split"] for row in rows(make_pairs(bench, **held_out(bench, 5)))}
    say = bench.engine.say

    def only_held_out(text: str, seed: int) -> str | Completion:
        return say(text, seed) if any(side == "validation" and task in text for task, side in sides.items()) else " "

    bench.engine.say = only_held_out
    with pytest.raises(UserError) as error:
        make_pairs(bench, **held_out(bench, 5), store={"uri": f"file://{bench.folder}/other"})
    assert error.value.reason is Reason.NO_PAIRS


def classifying(bench: "Bench", **wanted: Any) -> dict[str, Any]:
    """A run that classifies, with an engine that does: instruction n is maths if even, of complexity n; 7 and 8 have no class."""
    say = bench.engine.say

    def answer(text: str, seed: int) -> str | Completion:
        if "Category:" not in text:
            return say(text, seed)
        number = int(text.split("Do thing ")[1].split(".", maxsplit=1)[0])
        if number == 7:
            return "Maths."
        category = "mathematical reasoning" if number % 2 == 0 else "coding"
        return Completion(f"Category: {category}\nComplexity: {number}\nLength: (b)", "length" if number == 8 else "stop", 9)

    bench.engine.say = answer
    bench.write_instructions([f"Do thing {number}." for number in range(1, 11)])
    return {"instructions": {"uri": f"file://{bench.folder}/instructions.jsonl", "classify": wanted}}


def test_only_wanted_instructions_get_answers(bench: "Bench") -> None:
    spec = classifying(bench, categories=["mathematical-reasoning"], minimumComplexity=3)
    context = make_pairs(bench, **spec)
    by_text = {row["instruction"]: row for row in rows(context)}
    assert list(by_text) == [f"Do thing {number}." for number in range(1, 11)], "in order, dropped ones included"
    assert [row["dropped"] for row in by_text.values()] == [
        "category", "complexity", "category", None, "category", None, "unclassified", "truncated", "category", None,
    ]  # fmt: skip
    assert [row["complexity"] for row in by_text.values()] == [1, 2, 3, 4, 5, 6, None, None, 9, 10]
    assert {row["length"] for row in by_text.values()} == {"1-to-3-sentences", None}
    assert manifest(context).drops == {Drop.CATEGORY: 4, Drop.COMPLEXITY: 1, Drop.UNCLASSIFIED: 1, Drop.TRUNCATED: 1}
    assert manifest(context).counts == {
        "rows": 10, "instructions": 10, "pairs": 3, "pairs by variation": 3, "instructions in coding": 4,
        "instructions in mathematical-reasoning": 4, "pairs in mathematical-reasoning": 3,
    }  # fmt: skip
    assert manifest(context).prompts.keys() == {"classify", "answer", "variation"}
    assert len(bench.engine.asked) == 10 + 2 * 3, "nobody answers what is not wanted"


def test_pairs_are_the_same_whoever_was_classified(bench: "Bench") -> None:
    spec = classifying(bench)
    pairs = [row for row in rows(make_pairs(bench, **spec)) if row["dropped"] is None]
    plain = {row["pair_id"]: row for row in rows(make_pairs(bench, store={"uri": f"file://{bench.folder}/other"}))}
    assert len(pairs) == 8
    assert [{name: row[name] for name in plain[row["pair_id"]]} for row in pairs] == [plain[row["pair_id"]] for row in pairs]


def test_classified_shards_are_resumed_to_the_same_bytes(bench: "Bench") -> None:
    spec = {**classifying(bench, categories=["coding"])}
    spec["instructions"]["validation"] = 2
    context = make_pairs(bench, **spec)
    before, asked = bytes_of(context), sorted(bench.engine.asked)
    assert len(set(asked)) == len(asked), "nothing is sampled twice"
    assert set(rows(context)[0]) >= {"split", "category", "complexity", "length"}
    (bench.folder / "store" / context.layout.manifest(context.work.step)).unlink()
    (bench.folder / "store" / context.layout.shard_marker(context.work.step, 1)).unlink()
    bench.engine.asked.clear()
    make_pairs(bench, **spec)
    assert 0 < len(bench.engine.asked) < len(asked)
    assert bytes_of(context) == before


def test_what_a_generator_thinks_is_no_part_of_what_it_says(bench: "Bench") -> None:
    spec = classifying(bench)
    plain, say = rows(make_pairs(bench, **spec)), bench.engine.say

    def thinking(text: str, seed: int) -> Completion:
        said = say(text, seed)
        whole = said if isinstance(said, Completion) else Completion(said, "stop", 9)
        return replace(whole, text=f"<think>\nPerhaps <answer>4</answer>?\nCategory: none\n</think>\n\n{whole.text}")

    bench.engine.say = thinking
    assert rows(make_pairs(bench, **spec, store={"uri": f"file://{bench.folder}/other"})) == plain


def test_an_instruction_too_long_to_classify_is_counted(bench: "Bench") -> None:
    spec = classifying(bench)
    bench.write_instructions(["Do thing 1.", "Do thing 2. " + "x" * 5000])
    bench.engine.limit = 3000
    assert manifest(make_pairs(bench, **spec)).drops == {Drop.TOO_LONG: 1}


def test_nothing_wanted_is_told(bench: "Bench") -> None:
    with pytest.raises(UserError, match="8 category"):
        make_pairs(bench, **classifying(bench, categories=["persona"]))


def by_seed(text: str, seed: int) -> str:
    """Answers to one instruction: five of eight say 4, the others something else. Variations like those of `by_marker`."""
    if "<instruction>" in text:
        return f"<instruction>Another {seed}</instruction><answer>Off {seed}</answer>"
    return "4" if seed % 8 < 5 else f"{seed % 8}"


def test_disagreement_makes_near_misses_without_asking_again(bench: "Bench") -> None:
    bench.engine.say = by_seed
    context = make_pairs(bench, generate={"shards": 1, "answers": 8, "negatives": [{"kind": "disagreement"}]})
    assert {(row["chosen"], row["kind"]) for row in rows(context)} == {("4", "disagreement")}
    assert {row["rejected"] for row in rows(context)} <= {"5", "6", "7"}
    assert len(bench.engine.asked) == 10
    assert manifest(context).counts["pairs by disagreement"] == 10


def test_where_one_kind_yields_nothing_the_next_is_tried(bench: "Bench") -> None:
    """Only instructions with an even number get answers that disagree; variations of the first three are malformed."""

    def say(text: str, seed: int) -> str:
        number = int(text.split("Do thing ")[1].split(".", maxsplit=1)[0])
        if "<instruction>" in text:
            return "no tags" if number < 3 else by_seed(text, seed)
        return by_seed(text, seed) if number % 2 == 0 else "4"

    bench.engine.say = say
    kinds = [{"kind": "disagreement"}, {"kind": "variation"}]
    context = make_pairs(bench, generate={"shards": 1, "answers": 8, "negatives": kinds})
    by_number = {int(row["instruction"][9:-1]): row for row in rows(context)}
    assert by_number[1]["dropped"] in ("malformed", "unanimous")
    assert {by_number[number]["kind"] for number in (0, 2)} == {"disagreement"}
    assert {by_number[number]["kind"] for number in (3, 5, 7, 9)} == {"variation"}
    assert manifest(context).counts["pairs"] == 9


@pytest.mark.parametrize(
    ("answer", "drop"),
    [
        (lambda _seed: "4", Drop.UNANIMOUS),
        (lambda seed: f"{seed % 8 % 3}", Drop.NO_MAJORITY),
        (lambda seed: f"Free text {seed}", Drop.NO_MAJORITY),
    ],
    ids=["all agree", "some agree", "none agree"],
)
def test_instructions_without_a_disagreement_are_counted(bench: "Bench", answer: Callable[[int], str], drop: Drop) -> None:
    bench.engine.say = lambda text, seed: answer(seed) if "Do thing 1" in text else by_seed(text, seed)
    context = make_pairs(bench, generate={"shards": 1, "answers": 8, "negatives": [{"kind": "disagreement"}]})
    assert manifest(context).drops == {drop: 1}


def test_answers_that_are_all_different_stand_beside_a_variation(bench: "Bench") -> None:
    bench.engine.say = lambda text, seed: by_seed(text, seed) if "<instruction>" in text else f"Free text {seed}"
    generate = {"shards": 1, "answers": 8, "negatives": [{"kind": "disagreement", "weight": 1000}, {"kind": "variation"}]}
    context = make_pairs(bench, generate=generate)
    assert {row["kind"] for row in rows(context)} == {"variation"}
    assert manifest(context).drops == {}


KINDS = ("error", "final-answer", "constraint")


def by_kind(text: str, seed: int) -> str:
    """Rewritten answers that tell which kind was asked for; all else as `by_seed` says it."""
    if "<answer>" not in text or "<instruction>" in text:
        return by_seed(text, seed)
    kind = next(kind for kind, words in zip(KINDS, ("one mistake", "another result", "miss exactly"), strict=True) if words in text)
    return f"<answer>Worse by {kind}.</answer>"


def test_the_generator_makes_its_own_answer_worse(bench: "Bench") -> None:
    bench.engine.say = by_kind
    context = make_pairs(bench, generate={"shards": 2, "negatives": [{"kind": kind} for kind in KINDS]})
    made = rows(context)
    assert {row["kind"] for row in made} == set(KINDS)
    assert all(row["rejected"] == f"Worse by {row['kind']}." and row["variation"] is None for row in made)
    asked = [text for text in bench.engine.asked if "<answer>" in text]
    assert len(asked) == 10
    assert all(any(row["chosen"] in text and row["instruction"] in text for text in asked) for row in made)
    assert manifest(context).prompts.keys() == {"answer", "variation", *KINDS}
    assert sum(manifest(context).counts[f"pairs by {kind}"] for kind in KINDS) == manifest(context).counts["pairs"] == 10


def test_how_shards_are_cut_does_not_change_what_is_rewritten(bench: "Bench") -> None:
    bench.engine.say = lambda text, seed: f"<answer>{seed}</answer>" if "<answer>" in text else f"{seed}"
    kinds = [{"kind": kind, "weight": weight} for weight, kind in enumerate((*KINDS, "variation"), start=1)]
    made = [
        rows(make_pairs(bench, generate={"shards": cut, "negatives": kinds}, store={"uri": f"file://{bench.folder}/{cut}"}))
        for cut in (1, 7)
    ]
    assert made[0] == made[1]
    assert len({row["rejected"] for row in made[0]}) == 10


def test_a_rewritten_answer_that_cannot_be_used_gives_way_to_the_next_kind(bench: "Bench") -> None:
    """What each kind makes of an instruction; the last thing that was wrong is the reason where no kind is left."""
    tried = {"0": "4", "1": " ", "2": "<instruction>no</instruction>", "3": "wrong"}

    def say(text: str, seed: int) -> str:
        number = text.split("Do thing ")[1].split(".", maxsplit=1)[0]
        if "<instruction>" in text:
            return "no tags" if number == "0" else by_seed(text, seed)
        return f"<answer>{tried.get(number, 'half right')}</answer>" if "<answer>" in text else "4"

    bench.engine.say = say
    context = make_pairs(bench, generate={"shards": 1, "negatives": [{"kind": "error", "weight": 1000}, {"kind": "variation"}]})
    by_number = {row["instruction"][9:-1]: row for row in rows(context)}
    assert by_number["0"]["dropped"] in ("malformed", "same-answer")
    assert [by_number[number]["kind"] for number in ("1", "2")] == ["variation"] * 2
    assert (by_number["3"]["kind"], by_number["3"]["rejected"]) == ("error", "wrong")
    counts = manifest(context).counts
    assert counts["rows"] == counts["pairs"] + sum(manifest(context).drops.values()) == 10


WEAKER = {"weaker": {"uri": f"file://{MODEL}"}}


def weaker_spec(*others: str) -> dict[str, Any]:
    kinds = [{"kind": "weaker", "weight": 1000}, *({"kind": kind} for kind in others)]
    return {**WEAKER, "generate": {"shards": 3, "maxTokens": 64, "negatives": kinds}}


def make_weaker(bench: "Bench", **spec: Any) -> Context:
    context = bench.context(Stage.GENERATE, iteration=0, **spec)
    weaker.run(context, bench.load)
    return context


def test_a_weaker_models_answer_is_the_worse_one(bench: "Bench") -> None:
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


def test_weaker_answers_do_not_depend_on_how_they_are_cut_or_resumed(bench: "Bench") -> None:
    bench.engine.say = lambda text, seed: f"{text} {seed}"
    context = make_weaker(bench, **weaker_spec())
    before, answers = bytes_of(context), rows(context)
    for key in (context.layout.manifest(context.work.step), context.layout.shard_marker(context.work.step, 1)):
        (bench.folder / "store" / key).unlink()
    bench.engine.asked.clear()
    assert bytes_of(make_weaker(bench, **weaker_spec())) == before
    assert len(bench.engine.asked) == 3, "one shard"
    spec = weaker_spec() | {"store": {"uri": f"file://{bench.folder}/store2"}}
    spec["generate"] = spec["generate"] | {"shards": 1}
    assert rows(make_weaker(bench, **spec)) == answers


def test_where_the_weaker_model_has_no_worse_answer_the_next_kind_is_tried(bench: "Bench") -> None:
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


def test_without_another_kind_what_was_wrong_with_the_weaker_answer_is_counted(bench: "Bench") -> None:
    said: dict[str, str | Completion] = {"1": " ", "2": Completion("wea", "length", 1), "3": "weak"}
    bench.engine.say = lambda text, _seed: said.get(text[9:-1], "4")
    make_weaker(bench, **weaker_spec())
    bench.engine.say = lambda _text, _seed: "4"
    context = make_pairs(bench, **weaker_spec())
    assert manifest(context).drops == {Drop.SAME_ANSWER: 7, Drop.EMPTY_ANSWER: 1, Drop.TRUNCATED: 1}
    assert manifest(context).counts["pairs"] == 1


def test_weaker_answers_find_their_instruction_beside_classification_and_a_hold_out(bench: "Bench") -> None:
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


def test_pairs_need_the_weaker_models_answers(bench: "Bench") -> None:
    with pytest.raises(PlatformError) as error:
        make_pairs(bench, **weaker_spec())
    assert error.value.reason is Reason.STORE_CORRUPT


def test_judge_writes_every_sample_of_both_orders(bench: "Bench") -> None:
    context = make_judgments(bench)
    assert manifest(context).counts == {"ordered": 20, "judgments": 80, "unparsed": 0, "truncated": 0}
    keys = Counter((row["pair_id"], row["order"]) for row in rows(context))
    assert len(keys) == 20
    assert set(keys.values()) == {4}
    assert len({row["seed"] for row in rows(context)}) == 80
    assert all(row["verdict"] == "AB"[row["seed"] % 2] for row in rows(context)), "samples belong to their prompt"


def test_both_orders_of_a_pair_are_asked_side_by_side(bench: "Bench") -> None:
    context = make_judgments(bench)
    orders = [row["order"] for row in rows(context) if row["sample"] == 0]
    assert orders == ["AB", "BA"] * 10


def test_one_random_order_is_drawn_by_the_seed(bench: "Bench") -> None:
    context = make_judgments(bench, judge={"shards": 3, "samples": 1, "orders": "random"})
    orders = {row["pair_id"]: row["order"] for row in rows(context)}
    assert len(orders) == len(rows(context)) == 10
    assert set(orders.values()) == set(Order)


def test_every_iteration_judges_a_slice_of_its_own(bench: "Bench") -> None:
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


def test_slices_are_by_instruction_whoever_made_the_pair(bench: "Bench") -> None:
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


def test_a_slice_without_a_pair_is_told(bench: "Bench") -> None:
    """Ten pairs in fifty slices."""
    with pytest.raises(UserError, match="slice 1 of 50, which iteration 1 is to judge") as error:
        make_judgments(bench, judge={"shards": 3, "samples": 1, "slices": 50})
    assert error.value.reason is Reason.NO_PAIRS


def test_judgments_do_not_depend_on_how_they_are_cut(bench: "Bench") -> None:
    first = rows(make_judgments(bench))
    again = bench.context(Stage.JUDGE, judge={"shards": 1, "samples": 4}, store={"uri": f"file://{bench.folder}/store2"})
    make_pairs(bench, store={"uri": f"file://{bench.folder}/store2"})
    judge.run(again, bench.load)
    assert rows(again) == first


def test_unparsed_judgments_are_counted_and_committed(bench: "Bench") -> None:
    make_pairs(bench)
    bench.engine.say = lambda _text, _seed: "both are fine"
    context = bench.context(Stage.JUDGE)
    judge.run(context, bench.load)
    assert manifest(context).counts["unparsed"] == 80
    assert {row["verdict"] for row in rows(context)} == {None}


def test_judgments_that_end_at_max_tokens_are_kept_and_counted(bench: "Bench") -> None:
    """Every other judgment is cut after its verdict, in judge and in evaluate."""
    by_marker = bench.engine.say
    bench.engine.say = lambda text, seed: Completion("[[A]] and", "length", 2) if "[[A]]" in text and seed % 2 else by_marker(text, seed)
    context = make_judgments(bench)
    cut = [row["verdict"] for row in rows(context) if row["finish"] == "length"]
    assert manifest(context).counts == {"ordered": 20, "judgments": 80, "unparsed": 0, "truncated": len(cut)}
    assert (set(cut), len(cut)) == ({"A"}, 40)
    assert manifest(context).drops == {}
    seed = bench.context(Stage.EVALUATE, iteration=0)
    evaluate.run(seed, bench.load)
    told = manifest(seed).counts
    assert 0 < told["truncated"] == sum(row["finish"] == "length" for row in rows(seed)) < told["judgments"]
    assert told["too-long"] == 0


def test_prompts_that_do_not_fit_are_counted(bench: "Bench") -> None:
    make_pairs(bench)
    bench.engine.limit = 10
    context = bench.context(Stage.JUDGE)
    judge.run(context, bench.load)
    assert manifest(context).drops == {Drop.TOO_LONG: 20}
    assert manifest(context).counts == {"ordered": 20, "judgments": 0, "unparsed": 0, "truncated": 0}


def test_committed_shards_are_not_made_again(bench: "Bench") -> None:
    context = make_judgments(bench)
    before = bytes_of(context)
    (bench.folder / "store" / context.layout.manifest(context.work.step)).unlink()
    (bench.folder / "store" / context.layout.shard_marker(context.work.step, 1)).unlink()
    bench.engine.asked.clear()
    judge.run(bench.context(Stage.JUDGE), bench.load)
    assert len(bench.engine.asked) == 6, "one shard of three pairs in two orders"
    assert bytes_of(context) == before


def test_no_engine_is_loaded_when_only_the_manifest_is_missing(bench: "Bench") -> None:
    context = make_judgments(bench)
    (bench.folder / "store" / context.layout.manifest(context.work.step)).unlink()
    bench.loads.clear()
    judge.run(bench.context(Stage.JUDGE), bench.load)
    assert bench.loads == []
    assert manifest(context).counts["judgments"] == 80


def test_pods_share_the_shards_and_the_last_one_commits(bench: "Bench") -> None:
    make_pairs(bench)
    settings = {"shards": 3, "samples": 4, "maxTokens": 64, "parallelism": 2}
    first, second = (bench.context(Stage.JUDGE, index=index, judge=settings) for index in (0, 1))
    judge.run(second, bench.load)
    assert read_manifest(first.store, first.layout, first.work.step) is None
    judge.run(first, bench.load)
    assert len(manifest(first).parts) == 3
    assert [len(rows(first, [part])) for part in manifest(first).parts] == [24, 24, 32]


def test_there_are_no_more_shards_than_items(bench: "Bench") -> None:
    context = make_pairs(bench, generate={"shards": 64})
    assert len(manifest(context).parts) == 10


def test_shards_are_cut_smaller_than_wanted_where_they_would_be_too_large() -> None:
    assert shards.cut(20_000, 64, 30) == 74
    assert shards.cut(20_000, 512, 30) == 512
    assert shards.cut(10, 64, 30) == 10


def test_a_drained_pod_finishes_what_is_under_way_and_no_more(bench: "Bench") -> None:
    make_pairs(bench)
    context = bench.context(Stage.JUDGE)
    say = bench.engine.say

    def stop_at_the_first(text: str, seed: int) -> str | Completion:
        context.drain.requested = True
        return say(text, seed)

    bench.engine.say = stop_at_the_first
    with pytest.raises(Drained):
        judge.run(context, bench.load)
    committed = [info.key for info in context.store.list(context.layout.shards(context.work.step)) if info.key.endswith(".json")]
    assert len(committed) == 2
    assert read_manifest(context.store, context.layout, context.work.step) is None


def test_judge_needs_the_pairs(bench: "Bench") -> None:
    with pytest.raises(PlatformError) as error:
        judge.run(bench.context(Stage.JUDGE), bench.load)
    assert error.value.reason is Reason.STORE_CORRUPT


def test_changed_settings_do_not_adopt_old_shards(bench: "Bench") -> None:
    make_judgments(bench)
    with pytest.raises(PlatformError) as error:
        judge.run(bench.context(Stage.JUDGE, judge={"shards": 3, "samples": 5}), bench.load)
    assert error.value.reason is Reason.STORE_CORRUPT


def test_evaluate_scores_every_benchmark(bench: "Bench") -> None:
    context = bench.context(Stage.EVALUATE, iteration=0)
    evaluate.run(context, bench.load)
    single, voted = manifest(context).results
    assert (single.benchmark, single.votes, voted.benchmark, voted.votes) == ("held-out", 1, "voted", 3)
    assert single.overall.total == voted.overall.total == 2 * single.overall.pairs
    judged = rows(context)
    assert single.overall.correct == sum(row["correct"] for row in judged if row["benchmark"] == "held-out")
    assert Counter(row["benchmark"] for row in judged)["voted"] == 3 * voted.overall.total
    assert manifest(context).inputs.keys() == {"model", "benchmark/held-out", "benchmark/voted"}


def trained(bench: "Bench", last: int = 1, **spec: Any) -> None:
    """Iterations up to the last one's judge. No fake engine reads the files of judges."""
    make_pairs(bench, **spec)
    for number in range(1, last + 1):
        judge.run(bench.context(Stage.JUDGE, number, **spec), bench.load)
        select.run(bench.context(Stage.SELECT, number, **spec))
        context = bench.context(Stage.TRAIN, number, **spec)
        done = Manifest(run="run", iteration=number, stage=Stage.TRAIN, attempt=1, work="0" * 64, inputs={}, parts=[])
        commit(context.store, context.layout, done)


def test_what_a_judge_was_trained_on_is_counted_in_each_benchmark(bench: "Bench") -> None:
    """Two of a benchmark's instructions are among the run's. On the second one no verdict is ever given, so it is not trained on."""
    context = bench.context(Stage.EVALUATE)
    path = Path(context.work.spec.evaluate.benchmarks[0].uri.removeprefix("file://"))
    asked = [json.loads(line)["instruction"] for line in path.read_text().splitlines()]
    bench.write_instructions([*asked[:2], *(f"Do thing {number}." for number in range(10))])
    by_marker = bench.engine.say

    def say(text: str, seed: int) -> str | Completion:
        if "[[A]]" not in text:
            return by_marker(text, seed)
        return "[[C]]" if asked[1] in text else f"[[{'A' if text.find('Fine') < text.find('Off') else 'B'}]]"

    bench.engine.say = say
    trained(bench)
    evaluate.run(context, bench.load)
    assert [result.overlap for result in manifest(context).results] == [Overlap(pairs=len(asked), instructions=1, answers=0)] * 2
    seed = bench.context(Stage.EVALUATE, iteration=0)
    evaluate.run(seed, bench.load)
    assert [result.overlap for result in manifest(seed).results] == [None, None]


@pytest.mark.parametrize(("start", "learnt"), [("previous", (1, 2)), ("seed", (2,))])
def test_what_a_judge_learnt_before_it_was_trained_further_is_counted_too(bench: "Bench", start: str, learnt: tuple[int, ...]) -> None:
    """The run's instructions are the benchmark's, and each of two iterations judges the pairs of one half of them."""
    judging = {"shards": 3, "samples": 8, "maxTokens": 64, "slices": 2}
    spec: dict[str, Any] = {"iterations": 2, "judge": judging, "train": {"start": start}}
    context = bench.context(Stage.EVALUATE, 2, **spec)
    path = Path(context.work.spec.evaluate.benchmarks[0].uri.removeprefix("file://"))
    asked = [json.loads(line)["instruction"] for line in path.read_text().splitlines()]
    bench.write_instructions(asked)
    trained(bench, 2, **spec)
    evaluate.run(context, bench.load)
    instructions = {row["pair_id"]: row["instruction"] for row in rows(bench.context(Stage.GENERATE))}
    kept = {number: {instructions[row["pair_id"]] for row in rows(bench.context(Stage.SELECT, number, **spec))} for number in (1, 2)}
    assert kept[1] - kept[2]
    known = set().union(*(kept[number] for number in learnt))
    overlaps = [result.overlap for result in manifest(context).results]
    assert [told.instructions for told in overlaps if told] == [sum(instruction in known for instruction in asked)] * 2


def test_judges_are_scored_on_the_synthetic_pairs_of_held_out_instructions(bench: "Bench") -> None:
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


def test_each_judge_has_a_card_beside_its_checkpoint(bench: "Bench") -> None:
    """The Hub's own reader takes it, and its numbers are the manifest's. The seed has none."""
    seed = bench.context(Stage.EVALUATE, iteration=0)
    evaluate.run(seed, bench.load)
    assert manifest(seed).card is None
    trained(bench)
    context = bench.context(Stage.EVALUATE)
    evaluate.run(context, bench.load)
    done = manifest(context)
    assert done.card is not None
    path = bench.folder / "store" / done.card.key
    assert path == bench.folder / "store" / context.layout.checkpoint(1) / "README.md"
    assert (file_digest(path), path.stat().st_size) == (done.card.sha256, done.card.bytes)
    card = ModelCard.load(path)
    shares = [(found.dataset_name, found.metric_value) for found in card.data.eval_results]
    assert shares == [(result.benchmark, round(result.overall.correct / result.overall.total, 4)) for result in done.results]
    for result, before in zip(done.results, manifest(seed).results, strict=True):
        for name, tally in (("iteration 1", result.overall), ("seed", before.overall), ("always A", result.always_a)):
            assert f"| {name} | {tally.correct} of {tally.total} |" in card.text
    selected = manifest(bench.context(Stage.SELECT))
    assert selected.evidence is not None
    guessed = selected.evidence.probe["variation"]
    assert f"| variation | words | {guessed.correct} of {guessed.total} | {guessed.ties} | {guessed.right / guessed.total:.3f}" in card.text
    assert ", 0 too-long, 0 truncated, " in card.text, "of the evaluation's judgments"
    assert "file://" not in card.text, "where this machine keeps its files is of no use to anybody else"
    for digest in (*done.inputs.values(), *manifest(bench.context(Stage.GENERATE)).inputs.values(), *done.prompts.values()):
        assert digest in card.text


def test_the_card_is_written_by_train_where_nothing_is_evaluated(bench: "Bench") -> None:
    spec = {"evaluate": {}}
    trained(bench, **spec)
    context = bench.context(Stage.TRAIN, **spec)
    part = write_card(context.store, context.work, manifest(context))
    assert part is not None
    assert context.store.read(part.key).startswith(b"---\n")
    measured = bench.context(Stage.TRAIN)
    assert write_card(measured.store, measured.work, manifest(measured)) is None, "here evaluate comes after it"


def test_a_card_says_the_same_whoever_writes_it(bench: "Bench") -> None:
    trained(bench)
    context = bench.context(Stage.EVALUATE)
    evaluate.run(context, bench.load)
    done = manifest(context)
    (bench.folder / "store" / context.layout.manifest(context.work.step)).unlink()
    again = Context(context.work.model_copy(update={"attempt": 2}), context.store, context.scratch, 0, context.drain)
    evaluate.run(again, bench.load)
    assert (manifest(again).card, manifest(again).attempt) == (done.card, 2)


def test_a_prompt_that_does_not_fit_is_a_wrong_verdict(bench: "Bench") -> None:
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


def test_one_vote_is_greedy_and_more_are_sampled(bench: "Bench") -> None:
    context = bench.context(Stage.EVALUATE, iteration=0)
    evaluate.run(context, bench.load)
    assert Counter(row["sample"] for row in rows(context))[0] == 2 * Counter(row["sample"] for row in rows(context))[1]


def test_both_readings_of_a_judgment_are_counted(bench: "Bench") -> None:
    bench.engine.say = lambda _text, seed: "If it counts, [[A]], else [[B]]." if seed % 2 else "[[A]]"
    context = bench.context(Stage.EVALUATE, iteration=0)
    evaluate.run(context, bench.load)
    _, voted = manifest(context).results
    both = sum("else" in row["trace"] for row in rows(context) if row["benchmark"] == "voted")
    assert 0 < both == voted.disagreements < 3 * voted.overall.total
    assert (voted.lenient.correct, voted.lenient.a_verdicts) == (voted.overall.total / 2, voted.overall.total)
    assert voted.overall.correct == voted.lenient.correct, "one clear A in three is a majority"


MAJORITY = {"shards": 3, "maxTokens": 64, "majorityOf": 3, "benchmarks": [{"name": "held-out", "uri": f"file://{MICRO}/benchmark.jsonl"}]}


def test_the_seed_votes_too(bench: "Bench") -> None:
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


def test_only_the_seed_and_the_last_judge_vote(bench: "Bench") -> None:
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


CONTESTS: list[dict[str, Any]] = [
    *({"id": str(n), "prompt": f"Task {n}.", "chosen": [f"right {n}"], "rejected": [f"wrong {n} {w}" for w in "abc"], "subset": "Math"}
      for n in range(5)),
    {"id": "ref:1", "prompt": "Name a colour.", "chosen": ["right red"], "rejected": ["wrong four"], "subset": "Ties"},
    {"id": "tied:1", "prompt": "Name a colour.", "chosen": ["right red", "right blue"], "rejected": ["wrong four"], "subset": "Ties"},
]  # fmt: skip


def contest_spec(bench: "Bench", **entry: Any) -> dict[str, Any]:
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
def test_items_with_many_answers_are_judged_in_each_mode(bench: "Bench", mode: str, asked: int, votes: int) -> None:
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
def test_an_answer_that_several_pairs_show_is_rated_once(bench: "Bench", votes: int) -> None:
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


def test_votes_and_prompts_that_do_not_fit_count_for_many_answers_too(bench: "Bench") -> None:
    bench.engine.say, bench.engine.limit = knows, 10
    spec = contest_spec(bench, mode="ranking")
    spec["evaluate"]["majorityOf"] = 3
    context = bench.context(Stage.EVALUATE, iteration=0, **spec)
    evaluate.run(context, bench.load)
    _, many = manifest(context).results
    assert (many.overall.unparsed, many.voted and many.voted.overall.unparsed) == (7, 7)
    assert many.official is not None
    assert many.official.parts["Math"] == 0.25


def test_contests_and_held_out_pairs_are_examined_beside_each_other(bench: "Bench") -> None:
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
    assert done.results[1].overlap == Overlap(pairs=7, instructions=sum(f"Task {n}." in known for n in range(5)), answers=0)
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


def test_preflight_freezes_the_prompts_that_are_used(bench: "Bench") -> None:
    context = bench.context(Stage.EVALUATE, iteration=0, **contest_spec(bench, mode="ranking"))
    preflight.run(context)
    frozen = Frozen.model_validate_json(context.store.read(context.layout.run))
    assert {"prompt/judge", "prompt/ranking", "prompt/rating"} <= frozen.inputs.keys()


def test_people_without_a_winner_count_for_the_agreement_alone(bench: "Bench") -> None:
    """Two people agree on the first question and disagree on the second; the judge always says A."""
    bench.engine.say = lambda _text, _seed: "[[A]]"
    said = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    votes = [
        {"question_id": n, "model_a": "m", "model_b": "n", "winner": winner, "turn": 1, "conversation_a": said, "conversation_b": said}
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


def test_what_a_benchmark_leaves_out_is_counted(bench: "Bench") -> None:
    marks = [{"prompt": f"p{n // 2}", "response": f"r{n}", "helpfulness": mark} for n, mark in enumerate([1, 4, 3, 3])]
    uri = f"file://{as_lines(bench.folder / 'marks.jsonl', marks)}"
    spec = {"shards": 1, "maxTokens": 64, "benchmarks": [{"name": "marks", "uri": uri, "format": "helpsteer2"}]}
    context = bench.context(Stage.EVALUATE, iteration=0, evaluate=spec)
    evaluate.run(context, bench.load)
    assert manifest(context).drops == {Drop.TIE: 1}
    assert manifest(context).results[0].overall.pairs + manifest(context).drops[Drop.TIE] == len(marks) / 2
