"""The split by instruction: exact in number, the same for every order of the file, another one for another seed."""

from hypothesis import given
from hypothesis import strategies as st

from selftrain.api.records import Split
from selftrain.method.split import hold_out, split_of

IDS = [f"{number:016x}" for number in range(200)]


@given(seed=st.integers(0, 2**31), ids=st.permutations(IDS[:30]), count=st.integers(0, 30))
def test_as_many_are_held_out_as_asked_for_whatever_the_order(seed: int, ids: list[str], count: int) -> None:
    out = hold_out(seed, ids, count)
    assert len(out) == count
    assert out == hold_out(seed, sorted(ids), count)
    assert {split_of(name, out) for name in out} <= {Split.VALIDATION}
    assert {split_of(name, out) for name in ids if name not in out} <= {Split.TRAIN}


def test_another_seed_holds_out_others() -> None:
    one, other = (hold_out(seed, IDS, 100) for seed in (1, 2))
    assert 25 < len(one & other) < 75


def test_more_are_held_out_beside_the_ones_before() -> None:
    assert hold_out(7, IDS, 10) < hold_out(7, IDS, 11)
