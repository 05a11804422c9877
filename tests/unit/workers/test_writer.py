"""Whatever the generator says: every instruction ends as a pair or as a drop, and how the work is cut does not matter."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.bench import Bench
from selftrain.api.recipes import NegativeKind
from selftrain.api.records import Drop
from selftrain.api.stages import Stage
from selftrain.storage.instructions import Instruction
from selftrain.workers.engine import Completion
from selftrain.workers.flow import in_flow
from selftrain.workers.generate import templates
from selftrain.workers.writer import Writer

ROWS = [Instruction(f"id{number}", f"Do thing {number}.") for number in range(6)]
TEXTS = (
    "4", "5", " ", "<answer>4</answer>", "<answer>6</answer>", "<answer> </answer>", "<answer>7",
    "<instruction>Another</instruction><answer>8</answer>", "<instruction>Do thing 1.</instruction><answer>9</answer>",
)  # fmt: skip
ANSWERS = st.sampled_from(["4", "5", "6", Drop.TRUNCATED, Drop.TOO_LONG])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    said=st.lists(st.tuples(st.sampled_from(TEXTS), st.sampled_from(["stop", "length"])), min_size=1, max_size=13),
    weights=st.dictionaries(st.sampled_from(list(NegativeKind)), st.integers(1, 9), min_size=1),
    weaker=st.fixed_dictionaries({row.id: ANSWERS for row in ROWS}),
    cut=st.integers(1, 5),
)
def test_conservation_and_independence(
    bench: Bench,
    said: list[tuple[str, str]],
    weights: dict[NegativeKind, int],
    weaker: dict[str, str | Drop],
    cut: int,
) -> None:
    bench.engine.say = lambda _text, seed: Completion(*said[seed % len(said)], 1)
    negatives = [{"kind": kind, "weight": weight} for kind, weight in weights.items()]
    model = {"weaker": {"uri": "file:///weaker"}} if NegativeKind.WEAKER in weights else {}
    spec = bench.context(Stage.GENERATE, generate={"answers": 3, "negatives": negatives}, **model).work.spec
    asked = templates(spec)
    sampler = bench.load(bench.folder, spec.generate, [])
    writer = Writer(sampler, asked, spec)
    [(_, made)] = in_flow(sampler, [(0, writer.make(ROWS, weaker))])
    rows = list(made.rows)
    assert [row["pair_id"] for row in rows] == [row.id for row in ROWS]
    assert made.counts["pairs"] + sum(made.drops.values()) == made.counts["instructions"] == len(ROWS)
    assert sum(count for name, count in made.counts.items() if name.startswith("pairs by ")) == made.counts["pairs"]
    for row in rows:
        if "dropped" in row:
            assert row["dropped"] in set(Drop)
        else:
            assert row["kind"] in weights
            assert "<" not in str(row["rejected"]) or row["kind"] == NegativeKind.DISAGREEMENT, "answers may hold tags, parsed ones may not"
            assert row["rejected"] not in ("", row["chosen"])
    parts = dict(in_flow(sampler, enumerate(writer.make(part, weaker) for part in (ROWS[:cut], ROWS[cut:]))))
    assert [row for part in (0, 1) for row in parts[part].rows] == rows
