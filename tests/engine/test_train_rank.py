"""What a rank checks before it trains."""

import pytest

from helpers.trainings import work_of
from selftrain.api.conditions import Reason
from selftrain.api.errors import PlatformError
from selftrain.api.recipes import Objective
from selftrain.api.records import Work
from selftrain.workers.order import RunOrder, TrainOrder
from selftrain.workers.train_rank import require_device

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("place", ["train", "pods"])
def test_a_run_does_not_train_on_the_cpu_where_it_was_given_a_gpu(torch, tmp_path, table, place):
    work, _ = work_of(tmp_path, table)
    asked = work.model_dump()
    asked["spec"][place]["resources"] = {"limits": {"nvidia.com/gpu": "1"}}
    plain, given = (
        TrainOrder(
            folder=tmp_path, model=tmp_path, tables=[], limit=16, output=tmp_path, settings=work.spec.train, objective=Objective.SFT,
            seed=1, cpu_bf16=False, run=RunOrder(work=one, digest="0" * 64, inputs={}),
        )
        for one in (work, Work.model_validate(asked))
    )  # fmt: skip
    with pytest.raises(PlatformError, match="no GPU can be used") as caught:
        require_device(given, usable=False)
    assert caught.value.reason is Reason.ENGINE_FAILED
    require_device(given, usable=True)
    require_device(plain, usable=False)
    require_device(given.model_copy(update={"run": None}), usable=False)
