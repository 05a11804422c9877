"""select: conservation, balance, and draws that depend on nothing but seed and names."""

from collections import Counter
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.bench import Bench, make_judgments, make_pairs, manifest, rows
from helpers.files import as_lines
from selftrain.api.conditions import Reason
from selftrain.api.errors import UserError
from selftrain.api.prompts import Prompts
from selftrain.api.recipes import RECIPES, Objective
from selftrain.api.records import Drop
from selftrain.api.stages import Stage
from selftrain.method.pairs import LABELLED
from selftrain.method.words import words
from selftrain.prompts import resolve
from selftrain.storage.commit import read_manifest
from selftrain.storage.tables import JUDGMENTS, PAIRS, write_table
from selftrain.workers import judge, select, selection

Verdicts = dict[tuple[int, str], list[str | None]]
Row = dict[str, Any]
TEMPLATE = resolve(Prompts(), "judge")


def judgment(pair: int, order: str, sample: int, said: str | None) -> Row:
    """`said` is the verdict, with dots after it where the judgment was cut off."""
    verdict = said.removesuffix("...") or None if said else said
    trace = f"trace {pair} {order} {sample} [[{verdict}]]"
    finish = "length" if said and said.endswith("...") else "stop"
    rest = {"trace": trace, "verdict": verdict, "finish": finish, "tokens": 1, "seed": 1}
    return {"pair_id": f"p{pair}", "order": order, "sample": sample, **rest}


def judgments(verdicts: Verdicts) -> list[Row]:
    return [judgment(*key, sample, verdict) for key, said in verdicts.items() for sample, verdict in enumerate(said)]


def kind_of(name: str) -> str:
    return "variation" if int(name[1:]) % 2 else LABELLED


def selected(
    folder: Path, rows: list[Row], seed: int = 1, cut: int = 1, share: str | None = None, **rules: Any
) -> tuple[dict[str, int], dict[Drop, int], list[Row]]:
    """Select from rows cut into parts. With a share, pairs of even numbers are labelled."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = [folder / f"judgments-{number}" for number in range(cut)]
    for number, part in enumerate(parts):
        write_table(rows[number::cut], JUDGMENTS, part)
    names = sorted({row["pair_id"] for row in rows})
    pairs = [
        {"pair_id": name, "instruction": f"x {name}", "chosen": f"good {name}", "rejected": f"bad {name}", "kind": kind_of(name)}
        for name in names
    ]
    write_table(pairs, PAIRS, folder / "pairs")
    asked = selection.Rules(replace(RECIPES["paper"], **rules), seed, 1, Fraction(share) if share else None)
    with selection.open_database(folder) as database:
        counts, drops = selection.select(database, parts, asked, [folder / "pairs"])
        return counts, drops, [dict(row) for row in select.training_set(database, [folder / "pairs"], parts, TEMPLATE)]


SOME: Verdicts = {
    (1, "AB"): ["A", "A", "B", None],
    (1, "BA"): ["A", "A", "A", "A"],
    (2, "AB"): ["A", "A", "A", "A"],
    (2, "BA"): ["B", None, "B", "A"],
    (3, "AB"): ["A"],
    (3, "BA"): ["A", "B"],
}


def test_one_right_judgment_an_ordered_pair_is_kept_and_letters_balanced(tmp_path: Path) -> None:
    counts, drops, kept = selected(tmp_path, judgments(SOME))
    assert counts == {"judgments": 19, "kept": 4, "kept A": 2, "kept B": 2, "examples": 4}
    assert drops == {Drop.WRONG: 7, Drop.UNPARSED: 2, Drop.NOT_DRAWN: 5, Drop.UNBALANCED: 1}
    assert Counter(row["order"] for row in kept) == {"AB": 2, "BA": 2}
    assert all(f"[[{'A' if row['order'] == 'AB' else 'B'}]]" in row["completion"] for row in kept)


def test_a_pair_must_be_right_in_both_orders(tmp_path: Path) -> None:
    """Pair 3 has no right judgment in the order BA; both of its drawn ones and no other pair's are gone."""
    some = {**SOME, (3, "BA"): ["A", "A"]}
    counts, drops, kept = selected(tmp_path, judgments(some), require_mirror=True)
    assert {(row["pair_id"], row["order"]) for row in kept} == {("p1", "AB"), ("p2", "AB"), ("p2", "BA")} - {("p1", "AB")}
    assert drops[Drop.MIRROR_NOT_KEPT] == 2 + 1
    assert counts["judgments"] == counts["kept"] + sum(drops.values())


def test_luck_is_not_enough(tmp_path: Path) -> None:
    """2 of 4 right is enough at 0.5; 1 of 2 is, too; 2 of 4 is not at 0.6, and its right judgments are counted."""
    assert Drop.LOW_PASS_RATE not in selected(tmp_path / "half", judgments(SOME), minimum_pass_rate="0.5")[1]
    _, drops, kept = selected(tmp_path / "more", judgments(SOME), minimum_pass_rate="0.6")
    assert drops[Drop.LOW_PASS_RATE] == 2 + 2 + 1
    assert kept == []


def test_an_example_is_what_the_judge_was_shown_and_what_it_wrote(tmp_path: Path) -> None:
    _, _, kept = selected(tmp_path, judgments(SOME))
    row = next(row for row in kept if row["order"] == "BA")
    (message,) = row["messages"]
    name = row["pair_id"]
    assert message["content"].index(f"bad {name}") < message["content"].index(f"good {name}")
    assert row["completion"] == f"trace {name[1:]} BA {row['sample']} [[B]]"


CUT: Verdicts = {
    (1, "AB"): ["A...", "A...", "B"],
    (1, "BA"): ["B...", "B", "A...", "..."],
    (2, "AB"): ["A...", "A"],
    (2, "BA"): ["B"],
}


def test_a_judgment_that_was_cut_off_is_not_taught(tmp_path: Path) -> None:
    counts, drops, kept = selected(tmp_path, judgments(CUT))
    assert {(row["pair_id"], row["order"]) for row in kept} <= {("p2", "AB"), ("p1", "BA"), ("p2", "BA")}
    assert [row["completion"] for row in kept if row["order"] == "AB"] == ["trace 2 AB 1 [[A]]"]
    assert drops == {Drop.TRUNCATED: 2 + 1 + 1, Drop.WRONG: 1 + 1, Drop.UNPARSED: 1, Drop.UNBALANCED: 1}
    assert counts["judgments"] == 10 == counts["kept"] + sum(drops.values())


def test_the_mirror_of_judgments_that_are_all_cut_off_is_not_kept(tmp_path: Path) -> None:
    _, drops, kept = selected(tmp_path, judgments(CUT), require_mirror=True)
    assert {(row["pair_id"], row["order"]) for row in kept} == {("p2", "AB"), ("p2", "BA")}
    assert drops == {Drop.TRUNCATED: 4, Drop.WRONG: 2, Drop.UNPARSED: 1, Drop.MIRROR_NOT_KEPT: 1}


def test_the_share_of_right_judgments_counts_those_cut_off(tmp_path: Path) -> None:
    """Two of three are right, and one of them is whole."""
    some: Verdicts = {(1, "AB"): ["A...", "A", "B"], (1, "BA"): ["B...", "B", "A"]}
    assert len(selected(tmp_path / "enough", judgments(some), minimum_pass_rate="0.6")[2]) == 2
    _, drops, kept = selected(tmp_path / "few", judgments(some), minimum_pass_rate="0.7")
    assert (kept, drops) == ([], {Drop.TRUNCATED: 2, Drop.LOW_PASS_RATE: 2, Drop.WRONG: 2})


DPO = {"first_objective": Objective.DPO, "objective": Objective.DPO}


def test_a_contrast_is_a_right_judgment_beside_one_that_is_not(tmp_path: Path) -> None:
    counts, drops, kept = selected(tmp_path, judgments(SOME), **DPO)
    assert {row["order"] for row in kept} == {"AB", "BA"}
    for row in kept:
        right = "[[A]]" if row["order"] == "AB" else "[[B]]"
        assert row["completion"].endswith(right)
        assert not row["rejected"].endswith(right)
    assert counts["examples"] == len(kept) == 2
    assert counts["judgments"] == 19 == counts["kept"] + sum(drops.values())
    assert drops[Drop.NO_CONTRAST] == 4 + 4 + 1  # p1 BA has no right judgment; p2 AB and p3 AB have no other
    assert drops[Drop.UNBALANCED] in (2, 4)  # p2 BA or p3 BA


def test_contrasts_are_several_an_ordered_pair_and_none_twice(tmp_path: Path) -> None:
    counts, _, kept = selected(tmp_path, judgments(SOME), contrasts=3, **DPO)
    pairs = [(row["pair_id"], row["order"], row["completion"], row["rejected"]) for row in kept]
    assert len(set(pairs)) == len(pairs) == counts["examples"]
    assert max(Counter(pair[:2] for pair in pairs).values()) == 3


def test_a_judgment_that_was_cut_off_is_on_neither_side_of_a_contrast(tmp_path: Path) -> None:
    some: Verdicts = {(1, "AB"): ["A", "B", "...", "A..."], (1, "BA"): ["B", "A...", "A"], (2, "AB"): ["A", "B..."], (2, "BA"): ["B..."]}
    counts, drops, kept = selected(tmp_path, judgments(some), contrasts=9, **DPO)
    assert {(row["completion"], row["rejected"]) for row in kept} == {
        ("trace 1 AB 0 [[A]]", "trace 1 AB 1 [[B]]"),
        ("trace 1 BA 0 [[B]]", "trace 1 BA 2 [[A]]"),
    }
    assert drops == {Drop.TRUNCATED: 2, Drop.NOT_DRAWN: 2, Drop.NO_CONTRAST: 2}
    assert counts["judgments"] == 10 == counts["kept"] + sum(drops.values())


def test_contrasts_obey_the_other_rules(tmp_path: Path) -> None:
    """p1 is never right in the order BA, so its AB is not mirrored; p2 and p3 have contrasts with the answer B only."""
    _, drops, kept = selected(tmp_path, judgments(SOME), require_mirror=True, **DPO)
    assert kept == [], "nothing is left to balance with"
    assert drops[Drop.MIRROR_NOT_KEPT] == 4


EVEN: Verdicts = {(pair, order): [order[0], None] for pair in range(40) for order in ("AB", "BA")}
"""20 labelled and 20 synthetic pairs, each with a right judgment and another one in both orders."""


@pytest.mark.parametrize("objective", [{}, DPO], ids=["sft", "dpo"])
@pytest.mark.parametrize(("share", "labelled", "synthetic"), [("0.5", 20, 20), ("0.2", 5, 20), ("0.9", 20, 2), ("0", 0, 20), ("1", 20, 0)])
def test_labelled_pairs_get_their_share(tmp_path: Path, objective: Row, share: str, labelled: int, synthetic: int) -> None:
    counts, drops, kept = selected(tmp_path, judgments(EVEN), share=share, **objective)
    found = Counter((kind_of(row["pair_id"]), row["order"]) for row in kept)
    assert {key: found[key] for key in found} == {
        (kind, order): count for kind, count in ((LABELLED, labelled), ("variation", synthetic)) for order in ("AB", "BA") if count
    }
    left_out = 2 * (40 - labelled - synthetic) * (2 if objective else 1)
    assert drops.get(Drop.NOT_MIXED, 0) == left_out
    assert counts["judgments"] == 160 == counts["kept"] + sum(drops.values())


@pytest.mark.parametrize("objective", [{}, DPO], ids=["sft", "dpo"])
def test_a_share_is_cut_by_pair_where_the_mirror_is_required(tmp_path: Path, objective: Row) -> None:
    """With a share of 0.2 five of the twenty labelled pairs are left, each in both orders."""
    _, _, kept = selected(tmp_path, judgments(EVEN), share="0.2", require_mirror=True, **objective)
    orders = Counter(row["pair_id"] for row in kept)
    assert Counter(kind_of(name) for name in orders) == {LABELLED: 5, "variation": 20}
    assert set(orders.values()) == {2}


@pytest.mark.parametrize(("share", "whole", "half"), [("0.625", 10, 4), ("0.8", 5, 0)])
def test_pairs_with_contrasts_in_one_order_alone_are_left_out_before_others_are_torn(
    tmp_path: Path, share: str, whole: int, half: int
) -> None:
    """Of the synthetic pairs ten have contrasts in both orders, and five in each of them: another judgment is right too."""
    alone = {3: "BA", 7: "AB"}
    some = {key: [key[1][0]] * 2 if alone.get(key[0] % 8) == key[1] else said for key, said in EVEN.items()}
    counts, drops, kept = selected(tmp_path, judgments(some), share=share, require_mirror=True, **DPO)
    orders = Counter(row["pair_id"] for row in kept)
    found = Counter((kind_of(name), count) for name, count in orders.items())
    assert (found[LABELLED, 2], found["variation", 2], found["variation", 1]) == (20, whole, half)
    assert found[LABELLED, 1] == 0
    assert {int(name[1:]) % 8 for name, count in orders.items() if count == 1} <= {3, 7}
    assert counts["judgments"] == 160 == counts["kept"] + sum(drops.values())


def test_sources_are_balanced_apart_before_they_are_mixed(tmp_path: Path) -> None:
    """The labelled pairs are right in the order AB only: together the letters could be balanced, each source by itself cannot."""
    some = {key: said for key, said in EVEN.items() if key[0] % 2 or key[1] == "AB"}
    counts, drops, kept = selected(tmp_path, judgments(some), share="0.5")
    assert kept == []
    assert (drops[Drop.UNBALANCED], drops[Drop.NOT_MIXED]) == (20, 40)
    assert counts["judgments"] == sum(drops.values())


verdict = st.sampled_from(["A", "B", None, "A...", "B...", "..."])
keys = st.tuples(st.integers(0, 6), st.sampled_from(["AB", "BA"]))


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(keys, st.lists(verdict, min_size=1, max_size=5), min_size=1), st.integers(1, 3), st.randoms())
def test_conservation_balance_and_independence_of_order(tmp_path: Path, verdicts: Verdicts, cut: int, random: Any) -> None:
    rows = judgments(verdicts)
    counts, drops, kept = selected(tmp_path / "one", rows)
    assert counts["judgments"] == len(rows) == counts["kept"] + sum(drops.values())
    assert counts["kept A"] == counts["kept B"]
    assert len(kept) == counts["kept"]
    assert len({(row["pair_id"], row["order"]) for row in kept}) == len(kept)
    shuffled = random.sample(rows, len(rows))
    assert selected(tmp_path / "other", shuffled, cut=min(cut, len(rows))) == (counts, drops, kept)
    for objective in ({}, DPO):
        mixed, left_out, few = selected(tmp_path / "mixed", rows, share="0.3", **objective)
        assert len(rows) == mixed["kept"] + sum(left_out.values())
        sizes = Counter(kind_of(row["pair_id"]) for row in few)
        assert abs(sizes[LABELLED] - 0.3 * len(few)) < 2, "a pair of each letter"
        assert selected(tmp_path / "mixed-other", shuffled, cut=min(cut, len(rows)), share="0.3", **objective) == (mixed, left_out, few)
    contrasted = selected(tmp_path / "dpo", rows, contrasts=2, **DPO)
    assert len(rows) == contrasted[0]["kept"] + sum(contrasted[1].values())
    orders = Counter(order for _, order in {(row["pair_id"], row["order"]) for row in contrasted[2]})
    assert orders["AB"] == orders["BA"]
    assert selected(tmp_path / "dpo-other", shuffled, cut=min(cut, len(rows)), contrasts=2, **DPO) == contrasted


def test_every_right_judgment_can_be_drawn(tmp_path: Path) -> None:
    even: Verdicts = {(pair, order): [order[0]] * 4 for pair in range(40) for order in ("AB", "BA")}
    _, _, kept = selected(tmp_path, judgments(even))
    assert set(Counter(row["sample"] for row in kept)) == {0, 1, 2, 3}
    assert len(kept) == 80
    assert [row["pair_id"] for row in kept] != sorted(row["pair_id"] for row in kept), "shuffled"


def test_more_examples_than_files_may_be_open_are_put_in_the_same_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    even: Verdicts = {(pair, order): [order[0]] * 4 for pair in range(10) for order in ("AB", "BA")}
    expected = selected(tmp_path / "one", judgments(even))[2]
    monkeypatch.setattr(select, "DEALT", 2)
    monkeypatch.setattr(select, "FILES", 3)
    assert selected(tmp_path / "three", judgments(even))[2] == expected
    assert len(list((tmp_path / "three").rglob("dealt-*"))) == 3


def test_no_judgments_are_not_blamed_on_what_they_say() -> None:
    with pytest.raises(UserError, match="there are no judgments") as error:
        select.require_selection({"judgments": 0, "kept": 0}, {})
    assert error.value.reason is Reason.NOTHING_SELECTED


def test_seeds_draw_differently(tmp_path: Path) -> None:
    even: Verdicts = {(pair, order): [order[0]] * 4 for pair in range(10) for order in ("AB", "BA")}
    draws = [selected(tmp_path / str(seed), judgments(even), seed=seed)[2] for seed in (1, 2)]
    assert draws[0] != draws[1]


@pytest.mark.parametrize(
    ("said", "reason", "words"),
    [
        ("both are fine", Reason.NO_VERDICTS, "none of 80 judgments says"),
        ("[[A]]", Reason.NOTHING_SELECTED, "40 wrong"),
    ],
)
def test_nothing_to_train_on_stops_the_run(bench: Bench, said: str, reason: Reason, words: str) -> None:
    make_pairs(bench)
    bench.engine.say = lambda _text, _seed: said
    judge.run(bench.context(Stage.JUDGE), bench.load)
    context = bench.context(Stage.SELECT)
    with pytest.raises(UserError) as error:
        select.run(context)
    assert error.value.reason is reason
    assert words in error.value.message
    assert read_manifest(context.store, context.layout, context.work.step) is None


def test_the_stage_commits_its_training_set(bench: Bench) -> None:
    make_judgments(bench)
    context = bench.context(Stage.SELECT)
    select.run(context)
    done = manifest(context)
    assert done.counts["judgments"] == 80 == done.counts["kept"] + sum(done.drops.values())
    assert done.inputs.keys() == {"iteration-001/generate", "iteration-001/judge"}
    (part,) = done.parts
    assert len(rows(context)) == part.rows == done.counts["kept"]
    select.run(bench.context(Stage.SELECT))
    assert manifest(context) == done


def test_a_share_that_no_pair_can_have_is_told(bench: Bench) -> None:
    """The judge is never right about the labelled pairs, so none of the others may be kept."""
    labelled = as_lines(bench.folder / "labelled.jsonl", [{"id": 1, "instruction": "Task.", "chosen": "right", "rejected": "wrong"}])
    spec = {"labelled": {"uri": f"file://{labelled}", "share": "0.5"}}
    make_pairs(bench, **spec)
    say = bench.engine.say
    bench.engine.say = lambda text, seed: "no idea" if "Task." in text else say(text, seed)
    judge.run(bench.context(Stage.JUDGE, **spec), bench.load)
    with pytest.raises(UserError, match="not-mixed") as error:
        select.run(bench.context(Stage.SELECT, **spec))
    assert error.value.reason is Reason.NOTHING_SELECTED
    assert "labelled.share" in str(error.value)


def test_what_the_training_set_is_made_of_stands_in_the_manifest(bench: Bench) -> None:
    """Every number is counted again from the rows."""
    spec = {"recipe": "improved", "judge": {"shards": 3, "samples": 4, "maxTokens": 64, "slices": 1}}
    make_judgments(bench, **spec)
    context = bench.context(Stage.SELECT, **spec)
    select.run(context)
    done = manifest(context)
    assert done.evidence is not None
    pairs, judged = (rows(bench.context(stage, **spec)) for stage in (Stage.GENERATE, Stage.JUDGE))
    told = done.evidence.distributions
    kept = {(row["pair_id"], row["order"], row["sample"]): row for row in rows(context)}
    assert (told.lengths.count, told.lengths.total) == (80, sum(row["tokens"] for row in judged))
    assert told.kept_lengths.count == len(kept) == sum(fate.kept for fate in told.kinds.values())
    assert sum(told.pass_rates.values()) == 20
    assert sum(told.kept_pass_rates.values()) == len({key[:2] for key in kept})
    for order, tally in told.orders.items():
        own = [row["verdict"] for row in judged if row["order"] == order]
        assert (tally.total, tally.correct, tally.a_verdicts) == (40, own.count(order[0]), own.count("A"))
    kinds = Counter(row["kind"] for row in pairs)
    assert {kind: fate.pairs for kind, fate in told.kinds.items()} == dict(kinds)
    assert sum((Counter(fate.drops) for fate in told.kinds.values()), Counter()) == done.drops
    assert told.distinct[1].total == sum(len(words(row["trace"])) for row in judged)
    trained = {key[0] for key in kept}
    sizes = Counter(row["kind"] for row in pairs if row["pair_id"] in trained)
    assert {kind: guessed.total for kind, guessed in done.evidence.probe.items()} == dict(sizes)


def test_a_lost_manifest_is_written_again_with_the_same_evidence(bench: Bench) -> None:
    make_judgments(bench)
    context = bench.context(Stage.SELECT)
    select.run(context)
    path = bench.folder / "store" / context.layout.manifest(context.work.step)
    before = path.read_bytes()
    path.unlink()
    select.run(bench.context(Stage.SELECT))
    assert path.read_bytes() == before
