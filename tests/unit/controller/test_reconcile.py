"""One look at a run: reads, then the planner's wish, then at most one write. And nothing at all when nothing has changed."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from helpers.cluster import MemoryCluster, failed_pod, finish, pending_pod, run_body
from selftrain.api.conditions import Reason
from selftrain.api.errors import PlatformError, UserError
from selftrain.api.pods import PodSettings
from selftrain.api.records import Manifest, Termination
from selftrain.api.stages import Stage, Step
from selftrain.api.v1alpha1 import SelfTrainRun
from selftrain.controller.reconcile import BLOCKED_LOOK, PENDING_LOOK, Reconciler
from selftrain.controller.work_queue import Key
from selftrain.kube.client import ClusterError, Conflict, Invalid, Refused
from selftrain.kube.jobs import Defaults
from selftrain.kube.pods import Images

KEY = Key("team", "judge")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
DEFAULTS = Defaults(Images("controller:1", "generate:1", "train:1"), PodSettings())


class MemoryManifests:
    """Implements `controller.reconcile.Manifests`."""

    def __init__(self) -> None:
        self.found: dict[Step, Manifest] = {}
        self.error: Exception | None = None

    async def read(self, run: SelfTrainRun) -> dict[Step, Manifest]:
        if self.error:
            raise self.error
        return dict(self.found)

    def commit(self, step: Step) -> None:
        self.found[step] = Manifest(
            run="judge", iteration=step.iteration, stage=step.stage, attempt=1, work="0" * 64, inputs={}, parts=[], checkpoint="judge/"
        )  # fmt: skip


class World:
    def __init__(self, **spec: Any) -> None:
        self.cluster = MemoryCluster(run_body(**spec))
        self.manifests = MemoryManifests()
        self.reconciler = Reconciler(self.cluster, self.manifests, DEFAULTS)
        self.now = NOW

    async def look(self) -> datetime | None:
        return await self.reconciler.look(KEY, self.now)

    async def settle(self) -> None:
        """Look until nothing is written any more."""
        for _ in range(10):
            before = len(self.cluster.writes)
            await self.look()
            if len(self.cluster.writes) == before:
                return
        raise AssertionError(self.cluster.writes)

    @property
    def body(self) -> dict[str, Any]:
        return self.cluster.runs["team", "judge"]


@pytest.fixture
def world() -> World:
    return World()


async def test_the_first_look_starts_the_first_stage(world: World) -> None:
    await world.look()
    assert world.cluster.writes == ["create job judge-i1-generate-a1", "status"]
    assert world.cluster.condition("Accepted")["status"] == "True"


async def test_nothing_is_written_while_nothing_happens(world: World) -> None:
    await world.settle()
    writes = list(world.cluster.writes)
    for minutes in range(5):
        world.now = NOW + timedelta(minutes=minutes)
        await world.look()
    assert world.cluster.writes == writes


async def test_a_whole_run(world: World) -> None:
    started: list[str] = []
    for _ in range(60):
        await world.look()
        for name, job in world.cluster.all_jobs.items():
            if not job.get("status"):
                labels = job["metadata"]["labels"]
                started.append(f"{labels['selftrain.dev/iteration']} {labels['selftrain.dev/stage']}")
                world.manifests.commit(Step(int(labels["selftrain.dev/iteration"]), Stage(labels["selftrain.dev/stage"])))
                finish(world.cluster.all_jobs[name])
    assert started == ["1 generate", "1 judge", "1 select", "1 train"]
    assert world.cluster.condition("Succeeded")["status"] == "True"
    assert world.body["status"]["checkpoint"] == "s3://bucket/runs/judge/"
    world.manifests.error = AssertionError("the store of a finished run is of no interest")
    assert await world.look() is None


async def test_a_job_of_an_earlier_run_of_the_same_name_is_not_ours(world: World) -> None:
    await world.settle()
    job = world.cluster.all_jobs["judge-i1-generate-a1"]
    job["metadata"]["ownerReferences"][0]["uid"] = "another"
    finish(job)
    del world.body["status"]
    await world.settle()
    assert "does not belong to this run" in world.cluster.condition("Progressing")["message"]
    assert world.body["status"]["attempt"] == 0
    del world.cluster.all_jobs["judge-i1-generate-a1"]
    await world.settle()
    assert world.cluster.condition("Progressing")["reason"] == "StagePending"
    assert list(world.cluster.all_jobs) == ["judge-i1-generate-a1"]


def refuse(world: World, error: ClusterError) -> None:
    """Let the API server refuse every Job from now on."""

    async def create_job(job: Any) -> None:
        raise error

    world.cluster.create_job = create_job  # type: ignore[method-assign]


@pytest.mark.parametrize("error", [Refused("exceeded quota"), ClusterError("500 failed calling webhook")])
async def test_a_job_that_is_not_created_is_told_once_and_tried_again(world: World, error: ClusterError) -> None:
    create = world.cluster.create_job
    refuse(world, error)
    await world.settle()
    assert world.cluster.writes == ["status"]
    assert str(error) in world.cluster.condition("Progressing")["message"]
    again = await world.look()
    assert again == NOW + BLOCKED_LOOK
    world.cluster.create_job = create  # type: ignore[method-assign]
    await world.settle()
    assert list(world.cluster.all_jobs) == ["judge-i1-generate-a1"]


async def test_a_cluster_that_takes_no_job_for_too_long_is_told_as_stalled_and_still_asked() -> None:
    world = World(deadlines={"pendingSeconds": 600})
    create = world.cluster.create_job
    refuse(world, Refused("exceeded quota"))
    await world.settle()
    world.now = NOW + timedelta(seconds=599)
    await world.settle()
    assert world.cluster.condition("Stalled")["status"] == "False"
    world.now = NOW + timedelta(seconds=600)
    await world.settle()
    assert world.cluster.condition("Stalled")["reason"] == "PendingDeadlineExceeded"
    assert "exceeded quota" in world.cluster.condition("Stalled")["message"]
    assert await world.look() == world.now + BLOCKED_LOOK
    world.cluster.create_job = create  # type: ignore[method-assign]
    await world.look()
    assert list(world.cluster.all_jobs) == ["judge-i1-generate-a1"]
    assert world.cluster.condition("Stalled")["status"] == "False"
    assert "blockedSince" not in world.body["status"]


async def test_a_run_that_was_stalled_before_is_not_held_to_that_by_a_cluster_that_takes_no_job(world: World) -> None:
    create = world.cluster.create_job
    await world.settle()
    finish(world.cluster.all_jobs["judge-i1-generate-a1"], "Failed", "PodFailurePolicy")
    world.cluster.all_pods["judge-i1-generate-a1"] = [
        failed_pod("a", Termination(kind="user", reason=Reason.INSTRUCTIONS_INVALID, message="no text").model_dump_json())
    ]
    await world.settle()
    assert world.cluster.condition("Stalled")["reason"] == "InstructionsInvalid"
    world.body["metadata"]["generation"] += 1
    refuse(world, Refused("exceeded quota"))
    await world.settle()
    world.now = NOW + timedelta(hours=2)
    await world.settle()
    assert world.cluster.condition("Stalled")["reason"] == "PendingDeadlineExceeded"
    world.cluster.create_job = create  # type: ignore[method-assign]
    await world.look()
    assert "judge-i1-generate-a2" in world.cluster.all_jobs


async def test_a_job_that_is_wrong_stalls_the_run_until_it_is_corrected(world: World) -> None:
    """The CRD cannot know all that the API server wants of a pod."""
    create = world.cluster.create_job
    refuse(world, Invalid("Invalid value: must be less than or equal to memory limit"))
    await world.settle()
    assert world.cluster.condition("Stalled")["reason"] == "InvalidSpec"
    assert "memory limit; correct the fields" in world.cluster.condition("Stalled")["message"]
    assert await world.look() is None
    assert world.cluster.writes == ["status"]
    world.cluster.create_job = create  # type: ignore[method-assign]
    await world.settle()
    assert list(world.cluster.all_jobs) == ["judge-i1-generate-a1"]
    assert world.cluster.condition("Stalled")["status"] == "False"


async def test_a_training_service_is_there_before_its_job() -> None:
    world = World(train={"nodes": 2})
    for step in (Step(1, Stage.GENERATE), Step(1, Stage.JUDGE), Step(1, Stage.SELECT)):
        world.manifests.commit(step)
    await world.look()
    assert world.cluster.writes[:2] == ["apply service selftrain-judge", "create job judge-i1-train-a1"]


async def test_suspending_deletes_the_job_by_its_uid(world: World) -> None:
    await world.settle()
    world.body["spec"]["suspend"] = True
    world.body["metadata"]["generation"] = 2
    await world.settle()
    assert "delete job judge-i1-generate-a1" in world.cluster.writes
    assert world.cluster.condition("Suspended")["status"] == "True"


async def test_an_unreadable_store_starts_and_stops_nothing(world: World) -> None:
    await world.settle()
    world.cluster.writes.clear()
    world.manifests.error = UserError(Reason.STORE_ACCESS_DENIED, "no access", "grant it")
    again = await world.look()
    assert world.cluster.writes == ["status"]
    assert world.cluster.condition("Stalled")["reason"] == "StoreAccessDenied"
    assert again is not None
    world.manifests.error = PlatformError(Reason.STORE_UNAVAILABLE, "no answer", "wait")
    await world.settle()
    assert world.cluster.condition("Progressing")["reason"] == "StoreUnavailable"
    assert world.cluster.condition("Stalled")["status"] == "False"
    assert list(world.cluster.all_jobs) == ["judge-i1-generate-a1"]


async def test_the_pods_words_reach_the_conditions(world: World) -> None:
    await world.settle()
    said = Termination(kind="user", reason=Reason.INSTRUCTIONS_INVALID, message="no field 'text'; correct textField")
    finish(world.cluster.all_jobs["judge-i1-generate-a1"], "Failed", "PodFailurePolicy")
    world.cluster.all_pods["judge-i1-generate-a1"] = [failed_pod("p", said.model_dump_json(), code=10)]
    await world.settle()
    stalled = world.cluster.condition("Stalled")
    assert stalled["reason"] == "InstructionsInvalid"
    assert "no field 'text'" in stalled["message"]
    assert list(world.cluster.all_jobs) == ["judge-i1-generate-a1"]


async def test_why_a_pod_waits_is_looked_at_again_soon(world: World) -> None:
    await world.settle()
    world.cluster.all_pods["judge-i1-generate-a1"] = [pending_pod({"reason": "ImagePullBackOff"})]
    again = await world.look()
    assert again is not None
    assert again - world.now <= PENDING_LOOK
    assert "cannot be pulled" in world.cluster.condition("Progressing")["message"]


@pytest.mark.parametrize(
    ("spec", "named"),
    [({"iteratons": 3}, "spec.iteratons"), ({"prompts": {"judge": {"system": "界" * 16384, "user": "界" * 16384},
                                                        "answer": {"user": "界" * 16384}}}, "spec.prompts")],
)  # fmt: skip
async def test_a_spec_that_cannot_be_used_is_refused_once_and_survived(spec: dict[str, Any], named: str) -> None:
    world = World(**spec)
    await world.settle()
    accepted = world.cluster.condition("Accepted")
    assert (accepted["status"], accepted["reason"]) == ("False", "InvalidSpec")
    assert named in accepted["message"]
    assert world.cluster.writes == ["status"]
    assert not world.cluster.all_jobs


async def test_a_corrected_spec_is_accepted() -> None:
    world = World(iteratons=3)
    await world.settle()
    del world.body["spec"]["iteratons"]
    world.body["metadata"]["generation"] = 2
    await world.settle()
    assert world.cluster.condition("Accepted")["status"] == "True"
    assert world.cluster.condition("Stalled")["status"] == "False"


async def test_a_status_of_another_version_is_made_anew(world: World) -> None:
    await world.settle()
    world.body["status"] = {"conditions": [], "somethingNew": 1}
    await world.settle()
    assert "somethingNew" not in world.body["status"]
    assert list(world.cluster.all_jobs) == ["judge-i1-generate-a1"]


async def test_a_run_that_changed_meanwhile_is_looked_at_again_at_once(world: World) -> None:
    async def too_late(run: Any, status: Any) -> None:
        raise Conflict

    world.cluster.replace_status = too_late  # type: ignore[method-assign]
    assert await world.look() == NOW


@pytest.mark.parametrize("gone", [True, False])
async def test_a_run_that_is_gone_or_going_is_left_alone(world: World, *, gone: bool) -> None:
    if gone:
        world.cluster.runs.clear()
    else:
        world.body["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert await world.look() is None
    assert world.cluster.writes == []
