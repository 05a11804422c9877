"""What DeepSpeed is asked for."""

import pytest

from selftrain.api.recipes import Objective
from selftrain.api.training import Train
from selftrain.workers.zero import deepspeed_settings


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_gradients_of_many_batches_are_summed_up_in_float32(stage):
    assert deepspeed_settings(Train(zero_stage=stage), 2, bf16=True)["data_types"] == {"grad_accum_dtype": "fp32"}


@pytest.mark.parametrize(
    ("offload", "parts"), [("none", set()), ("optimizer", {"offload_optimizer"}), ("parameters", {"offload_optimizer", "offload_param"})]
)
def test_offload_says_what_is_kept_in_cpu_memory(offload, parts):
    zero = deepspeed_settings(Train(zero_stage=3, offload=offload), 2, bf16=True)["zero_optimization"]
    assert {name for name in zero if name.startswith("offload")} == parts


def test_clipping_is_taken_over():
    train = Train(gradient_clipping="1.5")
    found = {aim: deepspeed_settings(train.aiming_at(aim), 2, bf16=False)["gradient_clipping"] for aim in Objective}
    assert found == {Objective.SFT: 1.5, Objective.DPO: 1}
