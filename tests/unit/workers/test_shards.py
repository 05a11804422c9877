"""Shards: resumed, shared, drained, and never made twice."""

import pytest

from helpers.bench import Bench, bytes_of, committed, make_judgments, make_pairs, manifest, marker, rows
from selftrain.api.conditions import Reason
from selftrain.api.errors import PlatformError
from selftrain.api.stages import Stage
from selftrain.storage.commit import read_manifest
from selftrain.workers import judge, shards
from selftrain.workers.engine import Completion
from selftrain.workers.exits import Drained


def test_committed_shards_are_not_made_again(bench: Bench) -> None:
    context = make_judgments(bench)
    before = bytes_of(context)
    (bench.folder / "store" / context.layout.manifest(context.work.step)).unlink()
    (bench.folder / "store" / marker(context, 1)).unlink()
    bench.engine.asked.clear()
    judge.run(bench.context(Stage.JUDGE), bench.load)
    assert len(bench.engine.asked) == 6, "one shard of three pairs in two orders"
    assert bytes_of(context) == before


def test_no_engine_is_loaded_when_only_the_manifest_is_missing(bench: Bench) -> None:
    context = make_judgments(bench)
    (bench.folder / "store" / context.layout.manifest(context.work.step)).unlink()
    bench.loads.clear()
    judge.run(bench.context(Stage.JUDGE), bench.load)
    assert bench.loads == []
    assert manifest(context).counts["judgments"] == 80


def test_pods_share_the_shards_and_the_last_one_commits(bench: Bench) -> None:
    make_pairs(bench)
    settings = {"shards": 3, "samples": 4, "maxTokens": 64, "parallelism": 2}
    first, second = (bench.context(Stage.JUDGE, index=index, judge=settings) for index in (0, 1))
    judge.run(second, bench.load)
    assert read_manifest(first.store, first.layout, first.work.step) is None
    judge.run(first, bench.load)
    assert len(manifest(first).parts) == 3
    assert [len(rows(first, [part])) for part in manifest(first).parts] == [24, 24, 32]


def test_there_are_no_more_shards_than_items(bench: Bench) -> None:
    context = make_pairs(bench, generate={"shards": 64})
    assert len(manifest(context).parts) == 10


def test_shards_are_cut_smaller_than_wanted_where_they_would_be_too_large() -> None:
    assert shards.cut(20_000, 64, 30) == 74
    assert shards.cut(20_000, 512, 30) == 512
    assert shards.cut(10, 64, 30) == 10


def test_a_drained_pod_finishes_what_is_under_way_and_no_more(bench: Bench) -> None:
    make_pairs(bench)
    context = bench.context(Stage.JUDGE)
    say = bench.engine.say

    def stop_at_the_first(text: str, seed: int) -> str | Completion:
        context.drain.requested = True
        return say(text, seed)

    bench.engine.say = stop_at_the_first
    with pytest.raises(Drained):
        judge.run(context, bench.load)
    assert len(committed(context)) == 2
    assert read_manifest(context.store, context.layout, context.work.step) is None


def test_changed_settings_do_not_adopt_what_is_finished(bench: Bench) -> None:
    make_judgments(bench)
    with pytest.raises(PlatformError) as error:
        judge.run(bench.context(Stage.JUDGE, judge={"shards": 3, "samples": 5}), bench.load)
    assert error.value.reason is Reason.STORE_CORRUPT


def test_a_step_begun_under_other_settings_begins_anew(bench: Bench) -> None:
    before = make_judgments(bench)
    for key in (before.layout.manifest(before.work.step), marker(before, 1)):
        (bench.folder / "store" / key).unlink()
    changed = bench.context(Stage.JUDGE, judge={"shards": 3, "samples": 5})
    judge.run(changed, bench.load)
    assert manifest(changed).counts["judgments"] == 100
    assert len(committed(changed)) == 2 + 3, "what was begun is there if the settings are changed back"
