"""generate with a classification: only wanted instructions get answers."""

import pytest

from helpers.bench import Bench, bytes_of, classifying, make_pairs, manifest, marker, rows
from selftrain.api.errors import UserError
from selftrain.api.records import Drop


def test_only_wanted_instructions_get_answers(bench: Bench) -> None:
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


def test_pairs_are_the_same_whoever_was_classified(bench: Bench) -> None:
    spec = classifying(bench)
    pairs = [row for row in rows(make_pairs(bench, **spec)) if row["dropped"] is None]
    plain = {row["pair_id"]: row for row in rows(make_pairs(bench, store={"uri": f"file://{bench.folder}/other"}))}
    assert len(pairs) == 8
    assert [{name: row[name] for name in plain[row["pair_id"]]} for row in pairs] == [plain[row["pair_id"]] for row in pairs]


def test_classified_shards_are_resumed_to_the_same_bytes(bench: Bench) -> None:
    spec = {**classifying(bench, categories=["coding"])}
    spec["instructions"]["validation"] = 2
    context = make_pairs(bench, **spec)
    before, asked = bytes_of(context), sorted(bench.engine.asked)
    assert len(set(asked)) == len(asked), "nothing is sampled twice"
    assert set(rows(context)[0]) >= {"split", "category", "complexity", "length"}
    (bench.folder / "store" / context.layout.manifest(context.work.step)).unlink()
    (bench.folder / "store" / marker(context, 1)).unlink()
    bench.engine.asked.clear()
    make_pairs(bench, **spec)
    assert 0 < len(bench.engine.asked) < len(asked)
    assert bytes_of(context) == before


def test_an_instruction_too_long_to_classify_is_counted(bench: Bench) -> None:
    spec = classifying(bench)
    bench.write_instructions(["Do thing 1.", "Do thing 2. " + "x" * 5000])
    bench.engine.limit = 3000
    assert manifest(make_pairs(bench, **spec)).drops == {Drop.TOO_LONG: 1}


def test_nothing_wanted_is_told(bench: Bench) -> None:
    with pytest.raises(UserError, match="8 category"):
        make_pairs(bench, **classifying(bench, categories=["persona"]))
