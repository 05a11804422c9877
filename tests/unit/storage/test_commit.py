"""The commit protocol on a local folder."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from selftrain.api.conditions import Reason
from selftrain.api.errors import PlatformError
from selftrain.api.names import Layout
from selftrain.api.records import Drop, Manifest, Part, Work
from selftrain.api.stages import Stage, Step
from selftrain.storage.commit import RULES, commit, committed_shards, manifest_digest, read_manifest, work_digest, write_shard
from selftrain.storage.digests import canonical_json, model_digest
from selftrain.storage.folder import FolderStore

LAYOUT = Layout("team", "run", "0123456789")
STEP = Step(2, Stage.JUDGE)
OURS, THEIRS = "a" * 64, "b" * 64
SPEC: dict[str, Any] = {
    "model": {"uri": "hf://owner/model"},
    "store": {"uri": "s3://bucket"},
    "instructions": {"uri": "s3://bucket/instructions.jsonl"},
}


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path)


def manifest(work: str = OURS, attempt: int = 1) -> Manifest:
    part = Part(key="key", sha256=OURS, bytes=1)
    return Manifest(run="run", iteration=2, stage=Stage.JUDGE, attempt=attempt, work=work, inputs={"pairs": OURS}, parts=[part])


def corrupt(call: Callable[[], object], match: str) -> None:
    with pytest.raises(PlatformError, match=match) as caught:
        call()
    assert caught.value.reason is Reason.STORE_CORRUPT


# Shards


def test_a_shard_is_data_under_its_hash_and_a_marker_that_names_it(store: FolderStore) -> None:
    shard = write_shard(
        store, LAYOUT, STEP, 17, b"rows", work=OURS, of=20, rows=4, counts={"in": 5}, drops={Drop.TOO_LONG: 1}, tokens=9, seconds=1.5
    )
    digest = sha256(b"rows").hexdigest()
    assert [info.key for info in store.list("")] == [
        f"team/run-01234567/iteration-002/judge/shards/aaaaaaaa/00017-{digest[:8]}.parquet",
        "team/run-01234567/iteration-002/judge/shards/aaaaaaaa/00017.json",
    ]
    assert store.read(shard.part.key) == b"rows"
    assert (shard.part.sha256, shard.part.bytes, shard.part.rows) == (digest, 4, 4)
    assert committed_shards(store, LAYOUT, STEP, OURS) == {17: shard}


def test_a_file_is_stored_like_bytes(store: FolderStore, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"rows")
    from_file = write_shard(store, LAYOUT, STEP, 0, tmp_path / "file", work=OURS, of=4)
    assert from_file.part.sha256 == sha256(b"rows").hexdigest()
    assert store.read(from_file.part.key) == b"rows"


def test_the_first_marker_of_a_shard_stands(store: FolderStore) -> None:
    first = write_shard(store, LAYOUT, STEP, 3, b"first", work=OURS, of=4)
    second = write_shard(store, LAYOUT, STEP, 3, b"second", work=OURS, of=4)
    assert second == first == committed_shards(store, LAYOUT, STEP, OURS)[3]
    assert store.read(first.part.key) == b"first"


def test_data_without_a_marker_does_not_count(store: FolderStore) -> None:
    store.write(LAYOUT.shard_data(STEP, OURS, 1, OURS), b"of a process that was killed")
    assert committed_shards(store, LAYOUT, STEP, OURS) == {}


def test_shards_of_other_work_are_never_mixed_in(store: FolderStore) -> None:
    theirs = write_shard(store, LAYOUT, STEP, 0, b"rows", work=THEIRS, of=4)
    assert committed_shards(store, LAYOUT, STEP, OURS) == {}
    ours = write_shard(store, LAYOUT, STEP, 0, b"rows", work=OURS, of=4)
    assert (committed_shards(store, LAYOUT, STEP, OURS), committed_shards(store, LAYOUT, STEP, THEIRS)) == ({0: ours}, {0: theirs})


def test_a_marker_of_work_whose_digest_begins_alike_is_not_adopted(store: FolderStore) -> None:
    write_shard(store, LAYOUT, STEP, 0, b"rows", work=OURS[:8] + THEIRS[8:], of=4)
    corrupt(lambda: committed_shards(store, LAYOUT, STEP, OURS), "00000.json was made from other settings")
    corrupt(lambda: write_shard(store, LAYOUT, STEP, 0, b"rows", work=OURS, of=4), "other settings")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"work": "x"}', b"\xff"])
def test_an_unreadable_marker_or_manifest_is_named(store: FolderStore, content: bytes) -> None:
    store.write(LAYOUT.shard_marker(STEP, OURS, 5), content)
    corrupt(lambda: committed_shards(store, LAYOUT, STEP, OURS), "00005.json cannot be read")
    store.write(LAYOUT.manifest(STEP), content)
    corrupt(lambda: read_manifest(store, LAYOUT, STEP), "manifest.json cannot be read")


# Manifests


def test_a_manifest_finishes_a_step_once(store: FolderStore) -> None:
    assert read_manifest(store, LAYOUT, STEP) is None
    assert commit(store, LAYOUT, manifest(attempt=1))
    assert not commit(store, LAYOUT, manifest(attempt=2))
    assert read_manifest(store, LAYOUT, STEP) == manifest(attempt=1)


def test_a_manifest_of_other_work_is_not_adopted(store: FolderStore) -> None:
    commit(store, LAYOUT, manifest(THEIRS))
    corrupt(lambda: commit(store, LAYOUT, manifest(OURS)), "other settings")
    assert read_manifest(store, LAYOUT, STEP) == manifest(THEIRS)


def test_a_manifest_is_named_by_its_stored_bytes(store: FolderStore) -> None:
    corrupt(lambda: manifest_digest(store, LAYOUT, STEP), "is missing")
    commit(store, LAYOUT, manifest())
    assert manifest_digest(store, LAYOUT, STEP) == sha256(store.read(LAYOUT.manifest(STEP))).hexdigest()


# Digests


def digest_of(stage: Stage = Stage.JUDGE, iteration: int = 1, **changes: Any) -> str:
    """Digest of the work of a stage whose spec has these fields."""
    run = {"name": "run", "uid": "any"}
    work = Work.model_validate({"run": run, "iteration": iteration, "stage": stage, "attempt": 1, "spec": {**SPEC, **changes}})
    return work_digest(work, {"judge": OURS}, {"pairs": THEIRS})


@pytest.mark.parametrize(
    "changes",
    [
        {"judge": {"parallelism": 4}},
        {"judge": {"image": "other", "nodeSelector": {"a": "b"}, "resources": {"limits": {"nvidia.com/gpu": "8"}}}},
        {"pods": {"priorityClassName": "high"}},
        {"train": {"epochs": 1}},
        {"iterations": 9, "suspend": True, "retries": {"attempts": 9}},
        {"store": {"uri": "file:///elsewhere"}},
    ],
)
def test_where_and_how_often_a_stage_runs_does_not_decide_its_content(changes: dict[str, Any]) -> None:
    assert digest_of(**changes) == digest_of()


@pytest.mark.parametrize(
    "changes",
    [
        {"judge": {"samples": 14}},
        {"judge": {"shards": 2}},
        {"judge": {"temperature": "0.8"}},
        {"seed": 1},
        {"iteration": 2},
        {"stage": Stage.SELECT},
    ],
)
def test_what_decides_the_content_decides_the_digest(changes: dict[str, Any]) -> None:
    assert digest_of(**changes) != digest_of()


def test_the_rows_used_decide_the_pairs_and_nothing_else() -> None:
    fewer: dict[str, Any] = {"instructions": {**SPEC["instructions"], "limit": 5}}
    assert digest_of(Stage.GENERATE, **fewer) != digest_of(Stage.GENERATE)
    assert digest_of(Stage.JUDGE, **fewer) == digest_of(Stage.JUDGE)


def test_the_share_of_labelled_pairs_decides_the_selection_and_nothing_else() -> None:
    labelled = {"labelled": {"uri": "s3://bucket/pairs.jsonl"}}
    mixed = {"labelled": {**labelled["labelled"], "share": "0.5"}}
    changed = [stage for stage in Stage if digest_of(stage, **mixed) != digest_of(stage, **labelled)]
    assert changed == [Stage.SELECT]


def test_contrasts_decide_the_selection_and_nothing_before_it() -> None:
    several = {"select": {"contrasts": 3}}
    assert [stage for stage in Stage if digest_of(stage, **several) != digest_of(stage)] == [Stage.SELECT]
    assert digest_of(Stage.SELECT, select={"contrasts": 1}) == digest_of(Stage.SELECT), "the recipe's"


def test_a_version_that_works_otherwise_decides_the_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {stage: digest_of(stage) for stage in Stage}
    monkeypatch.setitem(RULES, Stage.TRAIN, RULES[Stage.TRAIN] + 1)
    assert [stage for stage in Stage if digest_of(stage) != before[stage]] == [Stage.TRAIN]


def test_prompts_and_inputs_decide_the_digest() -> None:
    work = Work.model_validate({"run": {"name": "run"}, "iteration": 1, "stage": "judge", "attempt": 1, "spec": SPEC})
    digests = {
        work_digest(work, {"judge": prompt}, {name: value})
        for prompt in (OURS, THEIRS)
        for name, value in (("pairs", OURS), ("pairs", THEIRS), ("model", OURS))
    }
    assert len(digests) == 6


def test_canonical_json_has_one_spelling() -> None:
    assert canonical_json({"b": [1, "ü"], "a": None}) == canonical_json({"a": None, "b": [1, "ü"]}) == '{"a":null,"b":[1,"ü"]}'.encode()
    with pytest.raises(ValueError, match="not JSON"):
        canonical_json(float("nan"))


def test_a_models_digest_depends_on_its_files_only(tmp_path: Path) -> None:
    for name, content in {"config.json": b"{}", "model.safetensors": b"weights"}.items():
        (tmp_path / name).write_bytes(content)
    before = model_digest(tmp_path)
    for name in ("README.md", "pytorch_model.bin", "modeling.py", "consolidated.safetensors"):
        (tmp_path / name).write_bytes(b"not used")
    (tmp_path / ".cache").mkdir()
    assert model_digest(tmp_path) == before
    (tmp_path / "model.safetensors").write_bytes(b"Weights")
    assert model_digest(tmp_path) != before
