"""generate: pairs of answers, and what is left out."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from helpers.bench import LABELLED, Bench, by_seed, classifying, make_pairs, manifest, rows, write_labelled
from selftrain.api.conditions import Reason
from selftrain.api.errors import UserError
from selftrain.api.records import Drop, Guesses
from selftrain.api.stages import Stage
from selftrain.storage.commit import read_manifest
from selftrain.workers import generate
from selftrain.workers.engine import Completion


def test_generate_writes_a_row_an_instruction_in_order(bench: Bench) -> None:
    context = make_pairs(bench)
    assert [row["instruction"] for row in rows(context)] == [f"Do thing {number}." for number in range(10)]
    assert [part.rows for part in manifest(context).parts] == [3, 3, 4]
    assert manifest(context).counts == {"rows": 10, "instructions": 10, "pairs": 10, "pairs by variation": 10}
    assert manifest(context).drops == {}


def test_instructions_in_several_files_are_like_those_in_one(bench: Bench) -> None:
    whole = make_pairs(bench)
    lines = (bench.folder / "instructions.jsonl").read_text().splitlines()
    for name, part in (("part-1.jsonl", lines[:4]), ("part-2.jsonl", lines[4:])):
        (bench.folder / name).write_text("\n".join(part))
    spec = {"instructions": {"uri": f"file://{bench.folder}/part-*.jsonl"}, "store": {"uri": f"file://{bench.folder}/other"}}
    parts = make_pairs(bench, **spec)
    assert rows(parts) == rows(whole)
    assert manifest(parts).inputs["instructions"] != manifest(whole).inputs["instructions"]


def test_the_meaning_of_answers_is_probed_by_kind(bench: Bench) -> None:
    """Fine answers are near to what was to be done, and variations are not; labelled pairs are near to nothing."""
    context = make_pairs(bench, **write_labelled(bench, LABELLED))
    even = Guesses(correct=0, ties=4, total=4)
    assert manifest(context).embedding_probe == {"variation": Guesses(correct=10, total=10), "labelled": even}


def test_the_variation_prompt_shows_instruction_and_answer(bench: Bench) -> None:
    row = rows(make_pairs(bench))[0]
    asked = next(text for text in bench.engine.asked if "<instruction>" in text)
    assert row["instruction"] in asked
    assert row["chosen"] in asked
    assert row["rejected"].startswith("Off")


def test_generate_counts_everything_it_leaves_out(bench: Bench) -> None:
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


def test_another_shard_is_begun_while_one_waits(bench: Bench) -> None:
    """Three shards of ten instructions, each in two steps: the second one's answers come before the first one's worse ones."""
    context = make_pairs(bench)
    varied = [number for number, text in enumerate(bench.engine.asked) if "<instruction>" in text]
    begun = next(number for number, text in enumerate(bench.engine.asked) if "Do thing 4." in text)
    assert begun < varied[0]
    assert [row["instruction"] for row in rows(context)] == [f"Do thing {number}." for number in range(10)]
    assert sum(part.rows or 0 for part in manifest(context).parts) == len(varied) == 10


def test_a_run_without_a_pair_stops_and_says_what_was_dropped(bench: Bench) -> None:
    bench.engine.say = lambda _text, _seed: "no tags"
    context = bench.context(Stage.GENERATE)
    with pytest.raises(UserError) as error:
        generate.run(context, bench.load, bench.embedder)
    assert error.value.reason is Reason.NO_PAIRS
    assert "10 malformed" in error.value.message
    assert read_manifest(context.store, context.layout, context.work.step) is None


def test_what_a_generator_thinks_is_no_part_of_what_it_says(bench: Bench) -> None:
    spec = classifying(bench)
    plain, say = rows(make_pairs(bench, **spec)), bench.engine.say

    def thinking(text: str, seed: int) -> Completion:
        said = say(text, seed)
        whole = said if isinstance(said, Completion) else Completion(said, "stop", 9)
        return replace(whole, text=f"<think>\nPerhaps <answer>4</answer>?\nCategory: none\n</think>\n\n{whole.text}")

    bench.engine.say = thinking
    assert rows(make_pairs(bench, **spec, store={"uri": f"file://{bench.folder}/other"})) == plain


def test_disagreement_makes_near_misses_without_asking_again(bench: Bench) -> None:
    bench.engine.say = by_seed
    context = make_pairs(bench, generate={"shards": 1, "answers": 8, "negatives": [{"kind": "disagreement"}]})
    assert {(row["chosen"], row["kind"]) for row in rows(context)} == {("4", "disagreement")}
    assert {row["rejected"] for row in rows(context)} <= {"5", "6", "7"}
    assert len(bench.engine.asked) == 10
    assert manifest(context).counts["pairs by disagreement"] == 10


def test_where_one_kind_yields_nothing_the_next_is_tried(bench: Bench) -> None:
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
def test_instructions_without_a_disagreement_are_counted(bench: Bench, answer: Callable[[int], str], drop: Drop) -> None:
    bench.engine.say = lambda text, seed: answer(seed) if "Do thing 1" in text else by_seed(text, seed)
    context = make_pairs(bench, generate={"shards": 1, "answers": 8, "negatives": [{"kind": "disagreement"}]})
    assert manifest(context).drops == {drop: 1}


def test_answers_that_are_all_different_stand_beside_a_variation(bench: Bench) -> None:
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


def test_the_generator_makes_its_own_answer_worse(bench: Bench) -> None:
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


def test_how_shards_are_cut_does_not_change_what_is_rewritten(bench: Bench) -> None:
    bench.engine.say = lambda text, seed: f"<answer>{seed}</answer>" if "<answer>" in text else f"{seed}"
    kinds = [{"kind": kind, "weight": weight} for weight, kind in enumerate((*KINDS, "variation"), start=1)]
    made = [
        rows(make_pairs(bench, generate={"shards": cut, "negatives": kinds}, store={"uri": f"file://{bench.folder}/{cut}"}))
        for cut in (1, 7)
    ]
    assert made[0] == made[1]
    assert len({row["rejected"] for row in made[0]}) == 10


def test_a_rewritten_answer_that_cannot_be_used_gives_way_to_the_next_kind(bench: Bench) -> None:
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
