"""What a rank checks before it trains."""

import pytest

from helpers.trainings import work_of
from selftrain.api.conditions import Reason
from selftrain.api.errors import PlatformError
from selftrain.api.recipes import Objective
from selftrain.workers.order import RunOrder, TrainOrder
from selftrain.workers.train_rank import require_device

pytestmark = pytest.mark.engine


def test_a_run_does_not_train_on_the_cpu_where_a_gpu_was_meant(torch, tmp_path, table):
    work, _ = work_of(tmp_path, table)
    order = TrainOrder(
        folder=tmp_path, model=tmp_path, tables=[], limit=16, output=tmp_path, settings=work.spec.train, objective=Objective.SFT,
        seed=1, cpu_bf16=False, run=RunOrder(work=work, digest="0" * 64, inputs={}),
    )  # fmt: skip
    with pytest.raises(PlatformError, match="no GPU can be used") as caught:
        require_device(order, accelerator=True, usable=False)
    assert caught.value.reason is Reason.ENGINE_FAILED
    require_device(order, accelerator=True, usable=True)
    require_device(order, accelerator=False, usable=False)
    require_device(order.model_copy(update={"run": None}), accelerator=True, usable=False)
