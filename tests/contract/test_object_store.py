"""What every store promises. One suite for the local folder, a Go server and a Python server."""

import os
import random
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from shutil import rmtree
from threading import Barrier
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from helpers.s3 import ACCESS_KEY, SECRET_KEY, Server
from selftrain.api.conditions import Reason
from selftrain.api.errors import PlatformError, UserError
from selftrain.api.records import Part
from selftrain.api.v1alpha1 import StoreSpec
from selftrain.storage.commit import fetch_part
from selftrain.storage.folder import FolderStore
from selftrain.storage.open import open_store, probe
from selftrain.storage.protocol import ObjectNotFound, ObjectStore
from selftrain.storage.s3 import TRANSFER, S3Store

MIB = 1 << 20
THRESHOLD: int = TRANSFER.multipart_threshold
ODD_KEYS = (
    "ключ/日本語 ☃/a b+c%20&=.json",
    "/".join(f"level-{depth}" for depth in range(30)),
    "combining-é/and-\N{LATIN SMALL LETTER E WITH ACUTE}",
    "~tilde,comma;semi'quote(paren)!@$.bin",
)


def keys(store: ObjectStore, prefix: str = "") -> list[str]:
    return [info.key for info in store.list(prefix)]


def random_file(path: Path, size: int) -> Path:
    with path.open("wb") as file:
        source = random.Random(size)
        for start in range(0, size, MIB):
            file.write(source.randbytes(min(MIB, size - start)))
    return path


# Objects


def test_an_object_is_read_as_it_was_written_and_can_be_replaced(store: ObjectStore) -> None:
    store.write("a/key.json", b"first")
    assert store.read("a/key.json") == b"first"
    store.write("a/key.json", b"second, and longer")
    assert store.read("a/key.json") == b"second, and longer"


def test_an_object_may_be_empty(store: ObjectStore, tmp_path: Path) -> None:
    store.write("written", b"")
    assert store.create("created", b"")
    store.upload(random_file(tmp_path / "empty", 0), "uploaded")
    for key in ("written", "created", "uploaded"):
        assert store.read(key) == b""
        store.download(key, tmp_path / "back")
        assert (tmp_path / "back").read_bytes() == b""
    assert [info.size for info in store.list("")] == [0, 0, 0]


def test_a_missing_object_is_named(store: ObjectStore, tmp_path: Path) -> None:
    store.write("there/is", b"something")
    for read in (store.read, lambda key: store.download(key, tmp_path / "file")):
        for key in ("not-there", "there", "there/is/not", "there/i"):
            with pytest.raises(ObjectNotFound) as caught:
                read(key)
            assert caught.value.key == key
    assert not (tmp_path / "file").exists()


@pytest.mark.parametrize("key", ODD_KEYS)
def test_keys_may_be_deep_and_in_any_script(store: ObjectStore, tmp_path: Path, key: str) -> None:
    store.write(key, b"content")
    assert store.read(key) == b"content"
    assert not store.create(key, b"other")
    store.upload(random_file(tmp_path / "file", 10), key)
    store.download(key, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == (tmp_path / "file").read_bytes()
    assert keys(store) == [key]
    store.delete([key])
    assert keys(store) == []


# Listing and deleting


def test_the_listing_is_in_key_order_and_by_plain_prefix(store: ObjectStore) -> None:
    names = ["a", "a-b", "a.c", "ab/c", "b/1", "b/10", "b/2", "b/2.x/y", "b/2-x", "ü", "z"]
    for name in random.Random(1).sample(names, len(names)):
        store.write(name, name.encode())
    assert keys(store) == sorted(names)
    assert keys(store, "b/") == ["b/1", "b/10", "b/2", "b/2-x", "b/2.x/y"]
    assert keys(store, "b/1") == ["b/1", "b/10"]
    assert keys(store, "a") == ["a", "a-b", "a.c", "ab/c"]
    assert keys(store, "c/") == []
    assert [info.size for info in store.list("b/10")] == [4]


def test_more_objects_than_a_page_are_listed_and_deleted(store: ObjectStore) -> None:
    names = [f"many/{number:05d}.json" for number in range(1050)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: store.write(name, b"{}"), names))
    assert keys(store, "many/") == names
    store.delete(iter([*names[1:], "many/missing"]))
    assert keys(store) == names[:1]


def test_prefixes_keep_stores_apart(spec: StoreSpec, store: ObjectStore) -> None:
    other = open_store(spec.model_copy(update={"uri": f"{spec.uri}/other"}))
    other.write("key", b"other")
    store.write("key", b"own")
    assert (keys(other), other.read("key")) == (["key"], b"other")
    assert keys(store) == ["key", "other/key"]
    assert other.uri == f"{store.uri}/other"


# Conditional creates


def test_create_leaves_what_is_there(store: ObjectStore) -> None:
    assert store.create("marker.json", b"first")
    assert not store.create("marker.json", b"second")
    assert store.read("marker.json") == b"first"
    store.delete(["marker.json"])
    assert store.create("marker.json", b"third")


def test_a_race_of_threads_has_one_winner(store: ObjectStore) -> None:
    racers, rounds = 8, 10
    start = Barrier(racers)

    def race(racer: int) -> list[bool]:
        won = []
        for number in range(rounds):
            start.wait()
            won.append(store.create(f"race/{number}", f"racer {racer}".encode() * 1000))
        return won

    with ThreadPoolExecutor(racers) as pool:
        results = list(pool.map(race, range(racers)))
    for number in range(rounds):
        winners = [racer for racer in range(racers) if results[racer][number]]
        assert len(winners) == 1
        assert store.read(f"race/{number}") == f"racer {winners[0]}".encode() * 1000


RACER = """
import sys
from selftrain.api.v1alpha1 import StoreSpec
from selftrain.storage.open import open_store
store = open_store(StoreSpec.model_validate_json(sys.argv[1]))
list(store.list(""))  # connected
print("ready", flush=True)
sys.stdin.readline()
print(sum(store.create(f"race/{number}", sys.argv[2].encode()) for number in range(20)))
"""


@contextmanager
def python(script: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A process of its own with the same imports."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", script, *arguments]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_until_ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


def test_a_race_of_processes_has_one_winner(spec: StoreSpec, store: ObjectStore) -> None:
    with ExitStack() as stack:
        racers = [stack.enter_context(python(RACER, spec.model_dump_json(), f"racer {number}")) for number in range(3)]
        for racer in racers:
            wait_until_ready(racer)
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write("go\n")
            racer.stdin.flush()
        won = [int(racer.communicate(timeout=60)[0]) for racer in racers]
    assert sum(won) == len(keys(store, "race/")) == 20


def test_the_probe_accepts_the_store_and_leaves_nothing(store: ObjectStore) -> None:
    probe(store)
    assert keys(store) == []


class Forgetful(S3Store):
    """A server that ignores If-None-Match, as some do."""

    def __init__(self, spec: StoreSpec) -> None:
        parts = urlsplit(spec.uri)
        super().__init__(parts.netloc, parts.path, spec.endpoint, spec.region)
        self.client.meta.events.register("before-parameter-build.s3.PutObject", self._forget)

    @staticmethod
    def _forget(params: dict[str, object], **_: object) -> None:
        params.pop("IfNoneMatch", None)


def test_the_probe_refuses_a_server_that_ignores_the_condition(s3_spec: StoreSpec) -> None:
    store = Forgetful(s3_spec)
    with pytest.raises(UserError) as caught:
        probe(store)
    assert caught.value.reason is Reason.STORE_NOT_CONDITIONAL
    assert keys(store) == []


# Files


@pytest.mark.parametrize("size", [1, 5 * MIB, THRESHOLD - 1, THRESHOLD, THRESHOLD + 1, 70 * MIB + 7])
def test_files_of_one_part_and_of_many_come_back_whole(store: ObjectStore, tmp_path: Path, size: int) -> None:
    path = random_file(tmp_path / "up", size)
    store.upload(path, "dir/file.bin")
    assert [info.size for info in store.list("dir/")] == [size]
    digest = sha256(path.read_bytes()).hexdigest()
    fetch_part(store, Part(key="dir/file.bin", sha256=digest, bytes=size), tmp_path / "down" / "file.bin")
    store.delete(["dir/file.bin"])


def test_an_upload_replaces_an_object(store: ObjectStore, tmp_path: Path) -> None:
    store.write("key", b"before")
    store.upload(random_file(tmp_path / "up", 100), "key")
    assert store.read("key") == (tmp_path / "up").read_bytes()


MEMORY = """
import sys
from pathlib import Path
from helpers.memory import peak
from selftrain.api.v1alpha1 import StoreSpec
from selftrain.storage.open import open_store
store, path = open_store(StoreSpec.model_validate_json(sys.argv[1])), Path(sys.argv[2])
store.write("small", b"x")  # everything is imported and connected
before = peak()
store.upload(path, "large")
store.download("large", path)
print(peak() - before)
"""


def test_transfers_take_bounded_memory(spec: StoreSpec, store: ObjectStore, tmp_path: Path) -> None:
    path = random_file(tmp_path / "file", 256 * MIB)
    with python(MEMORY, spec.model_dump_json(), str(path)) as process:
        kilobytes = int(process.communicate(timeout=110)[0])
    assert kilobytes < 100 * 1024
    store.delete(["large"])


def test_a_part_that_differs_from_its_listing_is_refused(store: ObjectStore, tmp_path: Path) -> None:
    content = b"what the manifest lists"
    part = Part(key="part", sha256=sha256(content).hexdigest(), bytes=len(content))
    path = tmp_path / "part"
    for stored in (b"what the manifest Lists", content[:-1], b"", None):
        if stored is None:
            store.delete(["part"])
        else:
            store.write("part", stored)
        with pytest.raises(PlatformError, match="part") as caught:
            fetch_part(store, part, path)
        assert caught.value.reason is Reason.STORE_CORRUPT
        assert not path.exists()
    store.write("part", content)
    assert fetch_part(store, part, path).read_bytes() == content


def test_the_server_refuses_content_that_differs_from_its_checksum(s3_spec: StoreSpec) -> None:
    store = open_store(s3_spec)
    assert isinstance(store, S3Store)
    wrong = b64encode(sha256(b"other").digest()).decode()
    with pytest.raises(ClientError):
        store.client.put_object(Bucket=store.bucket, Key=f"{store.prefix}key", Body=b"content", ChecksumSHA256=wrong)
    assert keys(store) == []


# Stores that cannot be used

OPERATIONS: tuple[Callable[[ObjectStore, Path], object], ...] = (
    lambda store, _: store.read("key"),
    lambda store, _: store.write("key", b""),
    lambda store, _: store.create("key", b""),
    lambda store, _: list(store.list("")),
    lambda store, _: store.delete(["key"]),
    lambda store, path: store.download("key", path.with_suffix(".down")),
    lambda store, path: store.upload(path, "key"),
)


def refusals(store: ObjectStore, path: Path) -> set[tuple[type, Reason]]:
    """Kind and reason of every operation's error. None of them may show the secret."""
    found = set()
    for operation in OPERATIONS:
        with pytest.raises((UserError, PlatformError)) as caught:
            operation(store, random_file(path, 10))
        assert SECRET_KEY not in str(caught.value)
        assert ACCESS_KEY not in str(caught.value)
        found.add((caught.type, caught.value.reason))
    return found


def test_a_missing_bucket_is_the_authors_to_make(server: Server, tmp_path: Path) -> None:
    store = open_store(StoreSpec(uri="s3://no-such-bucket/prefix", endpoint=server.endpoint))
    assert refusals(store, tmp_path / "file") == {(UserError, Reason.STORE_NOT_FOUND)}
    with pytest.raises(UserError, match=r"no-such-bucket at 127\.0\.0\.1.* create the bucket"):
        probe(store)


def test_a_vanished_folder_is_not_made_again(tmp_path: Path) -> None:
    store = open_store(StoreSpec(uri=(tmp_path / "mount").as_uri()))
    rmtree(tmp_path / "mount")
    assert refusals(store, tmp_path / "file") == {(UserError, Reason.STORE_NOT_FOUND)}
    assert not (tmp_path / "mount").exists()


@pytest.mark.parametrize("server", ["versitygw"], indirect=True)  # the other one takes any credentials
@pytest.mark.parametrize("wrong", ["AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"])
def test_wrong_credentials_are_refused(s3_spec: StoreSpec, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wrong: str) -> None:
    monkeypatch.setenv(wrong, "wrong")
    assert refusals(open_store(s3_spec), tmp_path / "file") == {(UserError, Reason.STORE_ACCESS_DENIED)}


def test_missing_credentials_are_the_authors_to_give(s3_spec: StoreSpec, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert refusals(open_store(s3_spec), tmp_path / "file") == {(UserError, Reason.STORE_ACCESS_DENIED)}


def test_an_unreachable_server_is_the_platforms_trouble_and_found_out_soon() -> None:
    store = open_store(StoreSpec(uri="s3://bucket", endpoint="http://127.0.0.1:9"))
    start = time.monotonic()
    with pytest.raises(PlatformError, match=r"bucket at 127\.0\.0\.1:9") as caught:
        store.read("key")
    assert caught.value.reason is Reason.STORE_UNAVAILABLE
    assert time.monotonic() - start < 20


# The folder's own promises

WRITER = """
import sys
from pathlib import Path
from selftrain.storage.folder import FolderStore
store = FolderStore(Path(sys.argv[1]))
print("ready", flush=True)
while True:
    store.write("replaced", bytes([65]) * (8 << 20))
    store.write("replaced", bytes([66]) * (8 << 20))
    store.delete(["created"])
    store.create("created", bytes([67]) * (8 << 20))
"""


def test_a_writer_killed_at_any_moment_leaves_whole_objects(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.write("replaced", b"A" * (8 << 20))
    moments = random.Random(7)
    for _ in range(8):
        with python(WRITER, str(tmp_path)) as writer:
            wait_until_ready(writer)
            time.sleep(moments.uniform(0, 0.2))
        assert store.read("replaced") in (b"A" * (8 << 20), b"B" * (8 << 20))
        assert set(keys(store)) <= {"created", "replaced"}
        assert {info.size for info in store.list("")} == {8 << 20}
        assert keys(store, ".") == []


@pytest.mark.parametrize("key", ["../outside", "a/../../outside", "/etc/passwd", "a//b", ".partial/x"])
def test_no_key_leads_out_of_the_folder(tmp_path: Path, key: str) -> None:
    (tmp_path / "outside").write_bytes(b"secret")
    store = open_store(StoreSpec(uri=(tmp_path / "store").as_uri()))
    with pytest.raises(ObjectNotFound):
        store.read(key)
    with pytest.raises(ObjectNotFound):
        store.write(key, b"")
