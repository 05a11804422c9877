"""How often an attempt is tried again, and when."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.planned import OUT_OF_MEMORY, World, a_run, manifest_of
from selftrain.api.conditions import ConditionType, Reason
from selftrain.planning.actions import StartStage
from selftrain.planning.observed import Failure
from selftrain.planning.steps import steps


@given(fail=st.dictionaries(st.integers(0, 20), st.just(OUT_OF_MEMORY), max_size=6))
def test_a_stage_is_tried_as_often_as_retries_allow(fail: dict[int, Failure]) -> None:
    world = World(a_run(retries={"attempts": 2}), fail=fail)
    world.to_the_end()
    tries = [action.attempt for action in world.started]
    assert max(tries) <= 2


def test_failures_are_charged_to_their_own_step() -> None:
    world, charged = World(a_run(), fail={0: OUT_OF_MEMORY}), {}
    while not world.is_true(ConditionType.SUCCEEDED):
        started = [(action.step, action.attempt) for action in world.cycle().actions if isinstance(action, StartStage)]
        charged |= dict.fromkeys(started, world.run.status.failures)
        world.advance()
    first, *others = steps(world.run.spec)
    assert charged == {(first, 1): 0, (first, 2): 1, **{(step, 1): 0 for step in others}}


@pytest.mark.parametrize("known", [True, False])
def test_attempts_that_were_started_before_the_operator_died_are_charged(*, known: bool) -> None:
    """Of three attempts at a step the status knows the first one only, or it still tells of the step before."""
    world = World(a_run(retries={"attempts": 3}))
    world.cycle()
    first, second, *_ = steps(world.run.spec)
    if not known:
        world.manifests[first] = manifest_of(first, 1)
    step = first if known else second
    for attempt in (1, 2, 3):
        world.failed(step, attempt)
    assert world.cycle().actions == ()
    assert world.condition(ConditionType.STALLED).reason is Reason.RETRIES_EXHAUSTED


def test_an_edit_forgives_failures_whether_or_not_they_were_reported() -> None:
    world = World(a_run(retries={"attempts": 3}))
    step = steps(world.run.spec)[0]
    world.cycle()
    world.failed(step, 1)
    world.now += timedelta(hours=1)
    world.cycle()
    assert world.run.status.failures == 1
    world.failed(step, 3)
    world.edit(iterations=3)
    world.now += timedelta(hours=1)
    assert world.cycle().actions == (StartStage(step, 4, first=True),)
    assert world.run.status.failures == 1


def test_the_next_attempt_waits_longer_after_each_failure() -> None:
    """Doubled from the moment at which the Job ended, or began if its end is unknown, to five minutes at most."""
    world, waits = World(a_run(retries={"attempts": 9})), []
    step = steps(world.run.spec)[0]
    for attempt in range(1, 9):
        world.cycle()
        ended = world.now + timedelta(minutes=7) if attempt % 2 else None
        world.failed(step, attempt, ended)
        world.now = ended or world.now
        ready = world.cycle().look_again
        assert ready is not None
        waits.append((ready - world.now).total_seconds())
        world.now = ready - timedelta(seconds=1)
        assert world.look().actions == ()
        world.now = ready
    assert waits == [10, 20, 40, 80, 160, 300, 300, 300]
