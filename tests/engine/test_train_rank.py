"""What a rank checks before it trains."""

import pytest

from helpers.trainings import work_of
from selftrain.api.conditions import Reason
from selftrain.api.errors import PlatformError
from selftrain.api.recipes import Objective
from selftrain.api.records import Work
from selftrain.workers.order import RunOrder, TrainOrder
from selftrain.workers.states import Dtype
from selftrain.workers.train_rank import require_device, shared_dtype

pytestmark = pytest.mark.engine


def order_of(folder, work):
    return TrainOrder(
        folder=folder, model=folder, tables=[], limit=16, output=folder, settings=work.spec.train, objective=Objective.SFT,
        seed=1, cpu_bf16=False, run=RunOrder(work=work, digest="0" * 64, inputs={}),
    )  # fmt: skip


class Pair:
    """Two ranks, the other of which computes in something of its own."""

    def __init__(self, other):
        self.other = other

    def gather(self, own):
        return [own, ("other", self.other)]


def test_ranks_that_compute_differently_do_not_train(torch, tmp_path, table):
    work, _ = work_of(tmp_path, table)
    order = order_of(tmp_path, work)
    assert shared_dtype(order, Pair(Dtype.FLOAT32), gpu=False) is Dtype.FLOAT32
    assert shared_dtype(order.model_copy(update={"cpu_bf16": True}), Pair(Dtype.BFLOAT16), gpu=False) is Dtype.BFLOAT16
    assert shared_dtype(order, Pair(Dtype.BFLOAT16), gpu=True) is Dtype.BFLOAT16
    with pytest.raises(PlatformError, match="in float32, other in bfloat16; place its pods on nodes of one kind") as caught:
        shared_dtype(order, Pair(Dtype.BFLOAT16), gpu=False)
    assert caught.value.reason is Reason.ENGINE_FAILED


@pytest.mark.parametrize("place", ["train", "pods"])
def test_a_run_does_not_train_on_the_cpu_where_it_was_given_a_gpu(torch, tmp_path, table, place):
    work, _ = work_of(tmp_path, table)
    asked = work.model_dump()
    asked["spec"][place]["resources"] = {"limits": {"nvidia.com/gpu": "1"}}
    plain, given = order_of(tmp_path, work), order_of(tmp_path, Work.model_validate(asked))
    with pytest.raises(PlatformError, match="no GPU can be used") as caught:
        require_device(given, usable=False)
    assert caught.value.reason is Reason.ENGINE_FAILED
    require_device(given, usable=True)
    require_device(plain, usable=False)
    require_device(given.model_copy(update={"run": None}), usable=False)
