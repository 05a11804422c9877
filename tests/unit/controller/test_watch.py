"""The resync finds every run, and sees when a watch tells nothing any more."""

from typing import Any

from selftrain.controller.watch import Resync, Watch, watchable
from selftrain.controller.work_queue import Key
from selftrain.kube.access import JOBS, RUNS, Resource
from selftrain.kube.client import Refused


def meta(uid: str, version: int) -> dict[str, Any]:
    return {"uid": uid, "resourceVersion": str(version), "namespace": "team", "name": uid}


def test_a_watch_that_tells_everything_is_alive() -> None:
    watch = Watch(RUNS)
    for version in range(5):
        watch.told(meta("a", version), gone=False)
        watch.compare([meta("a", version)])
        assert watch.stalled() == ""


def test_a_watch_that_is_behind_for_one_list_is_given_time() -> None:
    watch = Watch(RUNS)
    watch.told(meta("a", 1), gone=False)
    watch.compare([meta("a", 2)])
    assert watch.stalled() == ""
    watch.told(meta("a", 2), gone=False)
    watch.compare([meta("a", 2)])
    assert watch.stalled() == ""


def test_a_watch_that_lags_but_moves_is_alive() -> None:
    watch = Watch(RUNS)
    for version in range(1, 6):
        watch.told(meta("a", version), gone=False)
        watch.compare([meta("a", version + 1)])
        assert watch.stalled() == ""


def test_a_watch_that_tells_nothing_of_a_change_is_dead() -> None:
    watch = Watch(RUNS)
    watch.told(meta("a", 1), gone=False)
    watch.compare([meta("a", 2)])
    watch.compare([meta("a", 2)])
    assert "selftrainruns" in watch.stalled()


def test_a_watch_that_misses_a_new_object_is_dead_and_may_recover() -> None:
    watch = Watch(JOBS)
    watch.compare([meta("a", 1)])
    watch.compare([meta("a", 1)])
    assert watch.stalled()
    watch.told(meta("a", 1), gone=False)
    watch.compare([meta("a", 1)])
    assert watch.stalled() == ""


def test_an_event_that_comes_while_the_list_is_read_is_no_sign_of_death() -> None:
    watch = Watch(RUNS)
    watch.told(meta("a", 2), gone=False)
    watch.compare([meta("a", 1)])
    watch.compare([meta("a", 2)])
    assert watch.stalled() == ""


def test_deleted_objects_are_forgotten() -> None:
    watch = Watch(RUNS)
    watch.told(meta("a", 1), gone=False)
    watch.told(meta("a", 2), gone=True)
    watch.compare([])
    assert watch.stalled() == ""
    assert not watch._told


class Lists:
    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self.forbidden: set[str | None] = set()

    async def metadata(self, resource: Resource, namespace: str | None, selector: str = "") -> list[dict[str, Any]]:
        self.asked.append((resource.plural, namespace))
        if namespace in self.forbidden:
            raise Refused
        return [meta("a", 1), meta("b", 1)] if resource is RUNS else []


async def test_a_resync_looks_at_every_run() -> None:
    added: list[Key] = []
    lists = Lists()
    await Resync(lists, (), added.append).once()
    assert added == [Key("team", "a"), Key("team", "b")]
    assert lists.asked == [("selftrainruns", None), ("jobs", None)]


async def test_a_namespaced_operator_lists_its_namespaces_only() -> None:
    lists = Lists()
    await Resync(lists, ("x", "y"), lambda _: None).once()
    assert {place for _, place in lists.asked} == {"x", "y"}


async def test_a_namespace_that_is_gone_is_left_alone_until_it_is_back() -> None:
    lists, added = Lists(), list[Key]()
    lists.forbidden = {"y"}
    assert await watchable(lists, ("x", "y")) == ("x",)

    def add(key: Key) -> None:
        added.append(key)
        lists.forbidden = set() if len(added) > 4 else lists.forbidden

    await Resync(lists, ("x",), add, {"y"}).run(0)
    assert len(added) > 4  # it went on while the namespace was away, and ended when it was back
