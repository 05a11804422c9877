"""The reference of a DPO training: measured once, and kept."""

from types import SimpleNamespace

import pytest

from helpers.trainings import work_of
from selftrain.workers.order import RunOrder
from selftrain.workers.reference import reference
from selftrain.workers.states import Dtype

pytestmark = pytest.mark.engine
FIRST = SimpleNamespace(is_first=True, from_first=lambda make: make(), gather=lambda part: [part, {1: -1 / 3}])
VALUES = {0: -12.5, 1: -1 / 3}


def never():
    pytest.fail("measured again")


@pytest.fixture
def order_of(tmp_path, table):
    """Orders of work with a digest."""
    work, _ = work_of(tmp_path, table)
    return lambda digest: RunOrder(work=work, digest=digest * 64, inputs={})


def test_it_is_measured_once(order_of):
    assert reference(order_of("a"), FIRST, Dtype.FLOAT32, lambda: {0: -12.5}) == VALUES
    assert reference(order_of("a"), FIRST, Dtype.FLOAT32, never) == VALUES


@pytest.mark.parametrize(("digest", "dtype"), [("b", Dtype.FLOAT32), ("a", Dtype.BFLOAT16)])
def test_that_of_other_work_or_numbers_is_not_used(order_of, digest, dtype):
    reference(order_of("a"), FIRST, Dtype.FLOAT32, lambda: {0: -12.5})
    assert reference(order_of(digest), FIRST, dtype, lambda: {0: -7.0}) == {0: -7.0, 1: -1 / 3}


def test_outside_of_a_run_nothing_is_kept():
    measured = iter([{0: 1.0}, {0: 2.0}])
    assert [reference(None, FIRST, Dtype.FLOAT32, lambda: next(measured))[0] for _ in range(2)] == [1.0, 2.0]
