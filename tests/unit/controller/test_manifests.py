"""Manifests: read once, kept without what nobody reads, and a store that hangs costs one thread."""

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from helpers.cluster import run_body
from selftrain.api.conditions import Reason
from selftrain.api.errors import PlatformError, UserError
from selftrain.api.load import run_of
from selftrain.api.names import Layout
from selftrain.api.records import Distributions, Evidence, Lengths, Manifest, Part
from selftrain.api.stages import Stage, Step
from selftrain.api.v1alpha1 import SelfTrainRun, StoreSpec
from selftrain.controller import manifests
from selftrain.controller.manifests import ManifestReader, Recent
from selftrain.storage.commit import commit
from selftrain.storage.folder import FolderStore

RUN = run_of(run_body())
LAYOUT = Layout("team", "judge", "judge-0000-1111")
EVIDENCE = Evidence(
    distributions=Distributions(
        lengths=Lengths(), kept_lengths=Lengths(), pass_rates={}, kept_pass_rates={}, orders={}, entropy=0, distinct={}, kinds={}
    ),
    probe={},
)
GENERATE, JUDGE, SELECT = (Step(1, stage) for stage in (Stage.GENERATE, Stage.JUDGE, Stage.SELECT))


class CountingStore(FolderStore):
    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.reads: list[str] = []

    def read(self, key: str) -> bytes:
        self.reads.append(key.split("/")[-2])
        return super().read(key)


@pytest.fixture
def store(tmp_path: Path) -> CountingStore:
    return CountingStore(tmp_path)


def write(store: FolderStore, step: Step) -> None:
    part = Part(key="x", sha256="0" * 64, bytes=1)
    manifest = Manifest(run="judge", iteration=1, stage=step.stage, attempt=1, work="0" * 64, inputs={}, parts=[part], counts={"pairs": 7})
    commit(store, LAYOUT, manifest.model_copy(update={"evidence": EVIDENCE}))


async def test_finished_steps_are_read_once_and_the_first_missing_one_each_time(store: CountingStore) -> None:
    reader = ManifestReader(lambda _: store)
    write(store, GENERATE)
    write(store, JUDGE)
    for _ in range(3):
        found = await reader.read(RUN)
    assert set(found) == {GENERATE, JUDGE}
    assert found[GENERATE].counts == {"pairs": 7}
    assert found[GENERATE].parts == []
    assert found[GENERATE].evidence is None
    assert store.reads == ["generate", "judge", "select", "select", "select"]


async def test_a_new_manifest_is_seen(store: CountingStore) -> None:
    reader = ManifestReader(lambda _: store)
    assert await reader.read(RUN) == {}
    write(store, GENERATE)
    assert set(await reader.read(RUN)) == {GENERATE}


async def test_runs_of_one_name_do_not_share(store: CountingStore) -> None:
    reader = ManifestReader(lambda _: store)
    write(store, GENERATE)
    await reader.read(RUN)
    other = RUN.model_copy(update={"metadata": RUN.metadata.model_copy(update={"uid": "another-uid"})})
    assert await reader.read(other) == {}


async def test_a_local_store_is_refused() -> None:
    with pytest.raises(UserError, match=r"spec\.store\.uri"):
        await ManifestReader().read(run_of(run_body(store={"uri": "file:///data"})))


async def test_errors_of_the_store_come_through_and_are_not_kept(store: CountingStore) -> None:
    fail = True

    def opener(_: StoreSpec) -> CountingStore:
        if fail:
            raise UserError(Reason.STORE_NOT_FOUND, "no bucket", "make it")
        return store

    reader = ManifestReader(opener)
    with pytest.raises(UserError, match="no bucket"):
        await reader.read(RUN)
    fail = False
    assert await reader.read(RUN) == {}


async def answers(reader: ManifestReader, run: SelfTrainRun) -> bool:
    try:
        return await reader.read(run) == {}
    except PlatformError:
        return False


async def until_it_answers(reader: ManifestReader, run: SelfTrainRun) -> None:
    async with asyncio.timeout(1.5):
        while not await answers(reader, run):  # noqa: ASYNC110 - a test may poll
            await asyncio.sleep(0.001)


async def test_credentials_that_were_missing_are_looked_for_again(store: CountingStore) -> None:
    """As boto3 does: a client that found none at first never finds any."""
    granted = False

    class Client(CountingStore):
        def __init__(self) -> None:
            super().__init__(store.root)
            self.has_credentials = granted

        def read(self, key: str) -> bytes:
            if not self.has_credentials:
                raise UserError(Reason.STORE_ACCESS_DENIED, "no credentials", "give some")
            return super().read(key)

    reader = ManifestReader(lambda _: Client())
    write(store, GENERATE)
    with pytest.raises(UserError):
        await reader.read(RUN)
    granted = True
    assert set(await reader.read(RUN)) == {GENERATE}


async def test_a_store_that_hangs_is_asked_once_and_reported(monkeypatch: pytest.MonkeyPatch, store: CountingStore) -> None:
    answer, asked = threading.Event(), []

    def opener(_: StoreSpec) -> CountingStore:
        asked.append(1)
        answer.wait(5)
        return store

    monkeypatch.setattr(manifests, "READ_SECONDS", 0.02)
    reader = ManifestReader(opener)
    for _ in range(3):
        with pytest.raises(PlatformError, match="not answered") as caught:
            await reader.read(RUN)
        assert caught.value.reason is Reason.STORE_UNAVAILABLE
    assert asked == [1]
    answer.set()
    monkeypatch.setattr(manifests, "READ_SECONDS", 1.0)
    await until_it_answers(reader, RUN)


def run_at(endpoint: str, uid: str) -> SelfTrainRun:
    run = run_of(run_body(store={"uri": "s3://bucket/runs", "endpoint": endpoint}))
    return run.model_copy(update={"metadata": run.metadata.model_copy(update={"uid": uid})})


async def test_a_silent_server_holds_up_one_run_and_no_other_server(monkeypatch: pytest.MonkeyPatch, store: CountingStore) -> None:
    answer, asked = threading.Event(), []

    def opener(spec: StoreSpec) -> CountingStore:
        asked.append(spec.endpoint)
        if spec.endpoint == "http://silent":
            answer.wait(5)
        return store

    monkeypatch.setattr(manifests, "READ_SECONDS", 0.02)
    reader = ManifestReader(opener)
    with pytest.raises(PlatformError, match="not answered"):
        await reader.read(run_at("http://silent", "first"))
    monkeypatch.setattr(manifests, "READ_SECONDS", 5.0)
    for uid in ("first", "second", "third"):
        with pytest.raises(PlatformError, match="not answered"):
            await reader.read(run_at("http://silent", uid))
    assert asked == ["http://silent"], "nobody else has waited"
    assert await reader.read(run_at("http://fine", "fourth")) == {}
    answer.set()
    await until_it_answers(reader, run_at("http://silent", "second"))


async def test_a_server_that_stays_silent_is_tried_by_one_run_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def opener(spec: StoreSpec) -> CountingStore:
        asked.append(spec.uri)
        time.sleep(0.05)
        raise PlatformError(Reason.STORE_UNAVAILABLE, "no answer", "wait")

    monkeypatch.setattr(manifests, "READ_SECONDS", 0.01)
    reader = ManifestReader(opener)
    for _ in range(2):
        for uid in "abc":
            with pytest.raises(PlatformError, match="not answered"):
                await reader.read(run_at("http://silent", uid))
        await asyncio.sleep(0.1)
    assert len(asked) == 2


def test_only_recent_values_are_kept() -> None:
    recent: Recent[str, Any] = Recent(2)
    for key in "ab":
        recent.keep(key, key)
    recent.get("a")
    recent.keep("c", "c")
    assert [recent.get(key) for key in "abc"] == ["a", None, "c"]
