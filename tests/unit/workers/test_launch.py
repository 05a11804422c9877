"""How pods of a training find each other, and what is made of what their ranks say."""

import pytest

from selftrain.api.conditions import Reason
from selftrain.api.errors import PlatformError, UserError
from selftrain.api.recipes import Objective
from selftrain.api.records import Termination
from selftrain.api.training import Train
from selftrain.workers.exits import Drained
from selftrain.workers.launch import _failure, environment, rendezvous
from selftrain.workers.machine import Machine
from selftrain.workers.order import TrainOrder


@pytest.fixture
def order(tmp_path):
    settings = Train(processes_per_node=2)
    return TrainOrder(
        folder=tmp_path, model=tmp_path, tables=[], limit=16, output=tmp_path,
        settings=settings, objective=Objective.SFT, seed=1, cpu_bf16=False,
    )  # fmt: skip


def say(order, rank, kind, reason, message):
    order.failure(rank).write_text(Termination(kind=kind, reason=reason, message=message).model_dump_json())


def test_one_pod_meets_nobody(monkeypatch):
    monkeypatch.delenv("SELFTRAIN_RENDEZVOUS", raising=False)
    assert rendezvous("job", 0, 1, 60) is None
    with pytest.raises(PlatformError, match="SELFTRAIN_RENDEZVOUS"):
        rendezvous("job", 0, 2, 60)


def test_pods_meet_at_the_endpoint(monkeypatch):
    monkeypatch.setenv("SELFTRAIN_RENDEZVOUS", "job-0.job:29400")
    meeting = rendezvous("job", 1, 2, 60)
    assert meeting is not None
    assert (meeting.host, meeting.port, meeting.index) == ("job-0.job", 29400, 1)


def test_what_the_author_must_change_outranks_what_followed_from_it(order):
    say(order, 0, "platform", Reason.STAGE_FAILED, "RuntimeError: connection closed by peer")
    say(order, 1, "user", Reason.SEQUENCE_TOO_LONG, "nothing fits; raise train.sequenceLength")
    error = _failure(order, 1)
    assert isinstance(error, UserError)
    assert (error.reason, error.message, error.fix) == (Reason.SEQUENCE_TOO_LONG, "nothing fits", "raise train.sequenceLength")


def test_a_known_reason_outranks_an_unknown_one(order):
    say(order, 0, "platform", Reason.STAGE_FAILED, "RuntimeError: connection closed by peer")
    say(order, 1, "platform", Reason.OUT_OF_MEMORY, "training ran out of memory; lower train.microBatch")
    error = _failure(order, 1)
    assert isinstance(error, PlatformError)
    assert error.reason is Reason.OUT_OF_MEMORY


def test_ranks_that_stopped_as_asked_are_no_failure(order):
    say(order, 0, "drained", Reason.DRAINED, "stopped as asked")
    say(order, 1, "platform", Reason.STAGE_FAILED, "RuntimeError: connection closed by peer")
    assert isinstance(_failure(order, 1), Drained)


def test_a_rank_that_was_killed_says_nothing(order):
    order.failure(0).write_text('{"kind": "plat')
    error = _failure(order, -9)
    assert isinstance(error, PlatformError)
    assert error.reason is Reason.ENGINE_FAILED


def test_ranks_share_the_processors_unless_the_pod_says_otherwise(order, monkeypatch):
    machine = Machine(cpus=tuple(range(8)), quota=6.0, memory=1 << 30, bfloat16=True, accelerator=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert environment(order, machine)["OMP_NUM_THREADS"] == "3"
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert environment(order, machine)["OMP_NUM_THREADS"] == "1"
