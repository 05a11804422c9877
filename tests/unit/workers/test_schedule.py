"""The learning rate over a training."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selftrain.api.recipes import Objective
from selftrain.api.training import Train
from selftrain.workers.schedule import is_saved, learning_rate


def rates(steps, **settings):
    return [learning_rate(Train(learning_rate="0.001", **settings), step, steps) for step in range(steps)]


def test_it_rises_to_the_peak_and_falls_to_the_final_share():
    found = rates(101, schedule="cosine", warmup_steps=20, final_learning_rate_ratio="0.2")
    assert found[:20] == sorted(found[:20])
    assert found[0] > 0
    assert found[20] == max(found) == 0.001
    assert found[20:] == sorted(found[20:], reverse=True)
    assert found[60] == pytest.approx(0.0006)
    assert found[-1] == pytest.approx(0.0002)


def test_dpo_has_a_peak_and_a_warm_up_of_its_own():
    settings = Train(learning_rate="0.001", dpo_learning_rate="0.00002")
    assert learning_rate(settings.aiming_at(Objective.DPO), 0, 10) == 0.00002
    assert learning_rate(settings.aiming_at(Objective.SFT), 0, 10) == 0.001 / 101


def test_linear_falls_evenly_and_constant_stays():
    assert rates(5, schedule="linear", warmup_steps=0, final_learning_rate_ratio="0") == pytest.approx([1e-3, 7.5e-4, 5e-4, 2.5e-4, 0])
    assert rates(5, schedule="constant", warmup_steps=2) == pytest.approx([1e-3 / 3, 2e-3 / 3, 1e-3, 1e-3, 1e-3])


def test_a_training_shorter_than_its_warm_up_only_rises():
    found = rates(10, warmup_steps=100)
    assert found == sorted(found)
    assert found[-1] < 0.001


@given(st.integers(1, 300), st.integers(0, 400), st.sampled_from(["cosine", "linear", "constant"]), st.sampled_from(["0", "0.2", "1"]))
def test_it_stays_between_zero_and_the_peak(steps, warmup, schedule, final):
    found = rates(steps, warmup_steps=warmup, schedule=schedule, final_learning_rate_ratio=final)
    assert all(0 <= rate <= 0.001 for rate in found)


def test_a_pod_that_has_to_stop_loses_no_update():
    """Neither between two states nor after the last update, before the model is written."""
    settings = Train(save_every_steps=100)
    assert [done for done in range(1, 301) if is_saved(settings, done, 300, drained=False)] == [100, 200]
    assert all(is_saved(settings, done, 8, drained=True) for done in range(1, 9))
