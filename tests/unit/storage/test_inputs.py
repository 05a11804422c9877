"""Models and files that a run points at, and every way in which they can be missing, refused or unsafe."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from huggingface_hub import constants

from helpers.files import as_parquet
from helpers.loopback import Answer, http_server
from helpers.published import ROWS
from selftrain.api.conditions import Reason
from selftrain.api.errors import PlatformError, UserError
from selftrain.api.pair_files import PairFormat
from selftrain.api.v1alpha1 import StoreSpec
from selftrain.storage import inputs, s3
from selftrain.storage.benchmarks import read_items
from selftrain.storage.digests import digest, model_digest
from selftrain.storage.inputs import BENCHMARK, GENERATOR, INSTRUCTIONS, MODEL, Kind, resolve, resolve_files

MODEL_FILES = {
    "config.json": b'{"model_type": "llama"}',
    "tokenizer_config.json": b'{"chat_template": "{{ messages }}"}',
    "tokenizer.json": b"{}",
    "model.safetensors": b"weights",
}
LITTER = {"pytorch_model.bin": b"pickle", "modeling_own.py": b"print()", "README.md": b"hello", "original/model.safetensors": b"twice"}
FOLDER_STORE = StoreSpec(uri="file:///nowhere")


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def refusal(uri: str, kind: Kind, scratch: Path, store: StoreSpec = FOLDER_STORE) -> UserError:
    with pytest.raises(UserError) as caught:
        resolve(uri, store, scratch, kind)
    return caught.value


# Folders and volumes


def test_a_local_model_is_used_where_it_lies(tmp_path: Path) -> None:
    folder = write(tmp_path / "my model", MODEL_FILES)
    assert resolve(folder.as_uri(), FOLDER_STORE, tmp_path, MODEL) == folder
    assert resolve(f"{folder.as_uri()}/", FOLDER_STORE, tmp_path, MODEL) == folder


def test_a_local_file_is_used_where_it_lies(tmp_path: Path) -> None:
    folder = write(tmp_path, {"a b.jsonl": b"{}"})
    assert resolve((folder / "a b.jsonl").as_uri(), FOLDER_STORE, tmp_path, INSTRUCTIONS) == folder / "a b.jsonl"


def test_a_star_stands_for_any_part_of_a_files_name(tmp_path: Path) -> None:
    write(tmp_path, dict.fromkeys(["train-2.jsonl", "train-1.jsonl", "test-1.jsonl", "train-[x].jsonl", "deep/train-3.jsonl"], b"{}"))
    files = resolve_files(f"{tmp_path.as_uri()}/train-*.jsonl", FOLDER_STORE, tmp_path, INSTRUCTIONS)
    assert [path.name for path in files] == ["train-1.jsonl", "train-2.jsonl", "train-[x].jsonl"]
    assert resolve_files(f"{tmp_path.as_uri()}/train-[x].jsonl", FOLDER_STORE, tmp_path, INSTRUCTIONS) == [tmp_path / "train-[x].jsonl"]


def test_a_star_that_stands_for_nothing_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no file there has such a name") as error:
        resolve_files(f"{tmp_path.as_uri()}/train-*.jsonl", FOLDER_STORE, tmp_path, INSTRUCTIONS)
    assert error.value.reason is Reason.INSTRUCTIONS_NOT_FOUND


def test_a_claim_is_found_where_it_is_mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "CLAIMS", tmp_path)
    write(tmp_path / "claim" / "models" / "m", MODEL_FILES)
    write(tmp_path / "claim", {"top.jsonl": b"{}"})
    assert resolve("pvc://claim/models/m", FOLDER_STORE, tmp_path, MODEL) == tmp_path / "claim" / "models" / "m"
    assert resolve("pvc://claim/top.jsonl", FOLDER_STORE, tmp_path, BENCHMARK) == tmp_path / "claim" / "top.jsonl"
    assert "leads out" in refusal("pvc://claim/../other/m", MODEL, tmp_path).message


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (MODEL, Reason.MODEL_NOT_FOUND),
        (GENERATOR, Reason.MODEL_NOT_FOUND),
        (INSTRUCTIONS, Reason.INSTRUCTIONS_NOT_FOUND),
        (BENCHMARK, Reason.BENCHMARK_NOT_FOUND),
    ],
)
@pytest.mark.parametrize("uri", ["file:///no/such/thing", "pvc://claim/thing", "file://two-slashes/thing", "hf://no-owner"])
def test_what_is_missing_is_named_in_the_manifests_words(kind: Kind, reason: Reason, uri: str, tmp_path: Path) -> None:
    error = refusal(uri, kind, tmp_path)
    assert error.reason is reason
    assert kind.field in error.message
    assert uri in error.message
    assert error.fix


def test_a_folder_is_no_file_and_a_file_no_folder(tmp_path: Path) -> None:
    write(tmp_path, {"folder/file": b"", "config.json": b"{}"})
    assert refusal((tmp_path / "folder").as_uri(), INSTRUCTIONS, tmp_path).reason is Reason.INSTRUCTIONS_NOT_FOUND
    assert refusal((tmp_path / "config.json").as_uri(), MODEL, tmp_path).reason is Reason.MODEL_NOT_FOUND


def test_what_may_not_be_read_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    write(tmp_path, MODEL_FILES)
    monkeypatch.setattr(Path, "open", deny)
    assert refusal(tmp_path.as_uri(), MODEL, tmp_path).reason is Reason.MODEL_NOT_READABLE
    assert refusal((tmp_path / "file").as_uri(), INSTRUCTIONS, tmp_path).reason is Reason.INSTRUCTIONS_NOT_READABLE


# Which models are accepted

TEMPLATE_FILE = {**MODEL_FILES, "tokenizer_config.json": b"{}", "chat_template.jinja": b"{{ messages }}"}
INDEX = json.dumps({"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}).encode()


def test_the_chat_template_may_be_a_file(tmp_path: Path) -> None:
    assert resolve(write(tmp_path, TEMPLATE_FILE).as_uri(), FOLDER_STORE, tmp_path, MODEL) == tmp_path


@pytest.mark.parametrize(
    ("changes", "reason", "says"),
    [
        ({"config.json": None}, Reason.MODEL_NOT_FOUND, "no config.json"),
        ({"model.safetensors": None}, Reason.MODEL_NOT_FOUND, "no safetensors"),
        ({"model.safetensors": None, "pytorch_model.bin": b""}, Reason.MODEL_UNSAFE, "pickled weights only"),
        ({"config.json": b'{"auto_map": {"AutoModel": "m.M"}}'}, Reason.MODEL_UNSAFE, "auto_map in config.json"),
        ({"tokenizer_config.json": b'{"auto_map": {"AutoTokenizer": ["t.T", null]}}'}, Reason.MODEL_UNSAFE, "in tokenizer_config.json"),
        ({"tokenizer_config.json": b"{}"}, Reason.MODEL_UNUSABLE, "no chat template"),
        ({"tokenizer_config.json": None}, Reason.MODEL_UNUSABLE, "no chat template"),
        ({"adapter_config.json": b"{}"}, Reason.MODEL_UNUSABLE, "an adapter .*merge it"),
        ({"config.json": b"{"}, Reason.MODEL_UNUSABLE, "config.json of .* is no JSON"),
        ({"config.json": b"[]"}, Reason.MODEL_UNUSABLE, "no JSON object"),
        ({"model.safetensors.index.json": INDEX, "model-1.safetensors": b""}, Reason.MODEL_UNUSABLE, "lacks 1 .*model-2.safetensors"),
    ],
)
def test_a_model_that_cannot_serve_is_refused(tmp_path: Path, changes: dict[str, bytes | None], reason: Reason, says: str) -> None:
    files = {name: content for name, content in {**MODEL_FILES, **changes}.items() if content is not None}
    with pytest.raises(UserError, match=says) as caught:
        resolve(write(tmp_path, files).as_uri(), FOLDER_STORE, tmp_path, MODEL)
    assert caught.value.reason is reason


# S3


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[dict[str, bytes], StoreSpec, list[str]]]:
    """Objects by key in one bucket, a store in another bucket of the same server, and the keys that were read."""
    objects: dict[str, bytes] = {}
    read: list[str] = []

    def answer(_: str, url: str) -> Answer:
        path, query = unquote(urlsplit(url).path), urlsplit(url).query
        if path.startswith("/none"):
            return Answer(404, b"<Error><Code>NoSuchBucket</Code></Error>")
        if path.startswith("/denied"):
            return Answer(403, b"<Error><Code>AccessDenied</Code></Error>")
        if "list-type=2" in query:
            prefix = unquote(query.partition("prefix=")[2].partition("&")[0])
            items = "".join(f"<Contents><Key>{key}</Key><Size>1</Size></Contents>" for key in sorted(objects) if key.startswith(prefix))
            return Answer(200, f"<ListBucketResult>{items}</ListBucketResult>".encode())
        key = path.removeprefix("/inputs/")
        read.append(key)
        return Answer(200, objects[key]) if key in objects else Answer(404, b"<Error><Code>NoSuchKey</Code></Error>")

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setattr(s3, "ATTEMPTS", 1)
    with http_server(answer) as url:
        yield objects, StoreSpec(uri="s3://results", endpoint=url), read


Bucket = tuple[dict[str, bytes], StoreSpec, list[str]]


def test_a_model_in_a_bucket_is_downloaded_without_its_litter(bucket: Bucket, tmp_path: Path) -> None:
    objects, store, _ = bucket
    objects.update({f"models/m/{name}": content for name, content in {**MODEL_FILES, **LITTER}.items()})
    objects["models/m-other/config.json"] = b"{}"
    folder = resolve("s3://inputs/models/m", store, tmp_path, MODEL)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == MODEL_FILES
    assert model_digest(folder) == model_digest(write(tmp_path / "local", MODEL_FILES))
    assert folder == resolve("s3://inputs/models/m/", store, tmp_path, MODEL) or folder.is_relative_to(tmp_path)


def test_a_model_can_be_looked_at_without_its_weights(bucket: Bucket, tmp_path: Path) -> None:
    objects, store, read = bucket
    objects.update({f"m/{name}": content for name, content in MODEL_FILES.items()})
    folder = resolve("s3://inputs/m", store, tmp_path, MODEL, weights=False)
    assert {path.name for path in folder.iterdir()} == {name for name in MODEL_FILES if not name.endswith(".safetensors")}
    assert "m/model.safetensors" not in read


def test_an_unsafe_model_is_refused_before_its_weights_are_downloaded(bucket: Bucket, tmp_path: Path) -> None:
    objects, store, read = bucket
    objects.update({f"m/{name}": content for name, content in {**MODEL_FILES, "config.json": b'{"auto_map": {"A": "b"}}'}.items()})
    assert refusal("s3://inputs/m", MODEL, tmp_path, store).reason is Reason.MODEL_UNSAFE
    assert "m/config.json" in read
    assert "m/model.safetensors" not in read


def test_a_file_in_a_bucket_is_downloaded_under_its_name(bucket: Bucket, tmp_path: Path) -> None:
    objects, store, _ = bucket
    objects["data/deep/rows.parquet"] = b"content"
    objects["top.jsonl"] = b"more"
    path = resolve("s3://inputs/data/deep/rows.parquet", store, tmp_path, INSTRUCTIONS)
    assert (path.name, path.read_bytes()) == ("rows.parquet", b"content")
    assert resolve("s3://inputs/top.jsonl", store, tmp_path, BENCHMARK).read_bytes() == b"more"


def test_several_files_in_a_bucket_are_downloaded_in_order(bucket: Bucket, tmp_path: Path) -> None:
    objects, store, read = bucket
    objects.update({f"data/{name}": name.encode() for name in ("b.parquet", "a.parquet", "readme.md", "old/a.parquet")})
    files = resolve_files("s3://inputs/data/*.parquet", store, tmp_path, INSTRUCTIONS)
    assert [path.read_bytes() for path in files] == [b"a.parquet", b"b.parquet"]
    assert sorted(read) == ["data/a.parquet", "data/b.parquet"]


@pytest.mark.parametrize(
    ("uri", "kind", "reason"),
    [
        ("s3://inputs/nothing", MODEL, Reason.MODEL_NOT_FOUND),
        ("s3://none/m", MODEL, Reason.MODEL_NOT_FOUND),
        ("s3://denied/m", MODEL, Reason.MODEL_NOT_READABLE),
        ("s3://inputs/nothing.jsonl", INSTRUCTIONS, Reason.INSTRUCTIONS_NOT_FOUND),
        ("s3://inputs", INSTRUCTIONS, Reason.INSTRUCTIONS_NOT_FOUND),
        ("s3://none/x.jsonl", INSTRUCTIONS, Reason.INSTRUCTIONS_NOT_FOUND),
        ("s3://denied/x.jsonl", INSTRUCTIONS, Reason.INSTRUCTIONS_NOT_READABLE),
        ("s3://none/x.jsonl", BENCHMARK, Reason.BENCHMARK_NOT_FOUND),
        ("s3://denied/x.jsonl", BENCHMARK, Reason.BENCHMARK_NOT_FOUND),
    ],
)
def test_trouble_with_a_bucket_is_told_as_trouble_with_the_input(
    bucket: Bucket, tmp_path: Path, uri: str, kind: Kind, reason: Reason
) -> None:
    error = refusal(uri, kind, tmp_path, bucket[1])
    assert error.reason is reason
    assert uri in error.message


# The Hub


COMMIT = "c" * 40


def _failure(status: int, code: str = "") -> Answer:
    return Answer(status, b"{}", (("X-Error-Code", code), ("X-Error-Message", "as the Hub says it")))


def _listing(files: Iterable[str]) -> Answer:
    body = {"id": "owner/any", "sha": COMMIT, "siblings": [{"rfilename": name} for name in files], "private": False, "tags": []}
    return Answer(200, json.dumps(body).encode(), (("Content-Type", "application/json"),))


def _file(content: bytes) -> Answer:
    return Answer(200, content, (("ETag", f'"{digest(content)}"'), ("X-Repo-Commit", COMMIT)))


HUB = {
    "/api/models/owner/model/revision/v1": _listing([*MODEL_FILES, *LITTER]),
    "/api/models/owner/model/revision/v2": _failure(404, "RevisionNotFound"),
    "/api/models/owner/gated/revision/main": _failure(403, "GatedRepo"),
    "/api/models/owner/denied/revision/main": _failure(403),
    "/api/models/owner/broken/revision/main": _failure(500),
    "/api/datasets/owner/data/revision/main": _listing(["data/rows.jsonl", "data/rows-2.jsonl", "data/rest.jsonl"]),
    **{f"/owner/model/resolve/{COMMIT}/{name}": _file(content) for name, content in MODEL_FILES.items()},
    f"/datasets/owner/data/resolve/{COMMIT}/data/rows.jsonl": _file(b"rows"),
    f"/datasets/owner/data/resolve/{COMMIT}/data/rows-2.jsonl": _file(b"more"),
}


PARQUET = "refs/convert/parquet"
"""Where the Hub keeps every dataset as Parquet, whatever its owner brought."""
BENCHMARK_FILES = {
    PairFormat.REWARDBENCH: ("allenai/reward-bench", PARQUET, "default/filtered/0000.parquet"),
    PairFormat.REWARDBENCH2: ("allenai/reward-bench-2", PARQUET, "default/test/0000.parquet"),
    PairFormat.JUDGEBENCH: ("ScalerLab/JudgeBench", PARQUET, "default/gpt/0000.parquet"),
    PairFormat.RM_BENCH: ("THU-KEG/RM-Bench", PARQUET, "default/train/0000.parquet"),
    PairFormat.HELPSTEER2: ("nvidia/HelpSteer2", PARQUET, "default/validation/0000.parquet"),
    PairFormat.MT_BENCH: ("lmsys/mt_bench_human_judgments", PARQUET, "default/human/0000.parquet"),
    PairFormat.PPE: ("lmarena-ai/PPE-Human-Preference-V1", PARQUET, "default/test/0000.parquet"),
    PairFormat.PPE_CORRECTNESS: ("lmarena-ai/PPE-MMLU-Pro-Best-of-K", "main", "data/train-00000-of-00001.parquet"),
}
"""Dataset, revision and file, as on the Hub. What stands in them here, helpers.published says."""


def hub(path: str) -> Answer:
    """The Hub as far as its client asks: what is in a repository, and its files at one commit."""
    return HUB.get(path, _failure(404, "EntryNotFound" if "/resolve/" in path else "RepoNotFound"))


@pytest.fixture
def hub_reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A Hub on loopback; gives the paths that were read."""
    read: list[str] = []

    def answer(_: str, path: str) -> Answer:
        read.append(path)
        return hub(unquote(path.partition("?")[0]))

    with http_server(answer) as url:
        monkeypatch.setattr(constants, "ENDPOINT", url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("HF_TOKEN", "token")
        yield read


def test_a_model_of_the_hub_is_downloaded_without_its_litter(hub_reads: list[str], tmp_path: Path) -> None:
    folder = resolve("hf://owner/model@v1", FOLDER_STORE, tmp_path, MODEL)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == MODEL_FILES
    assert model_digest(folder) == model_digest(write(tmp_path / "local", MODEL_FILES))
    assert not any("pytorch" in path or ".py" in path for path in hub_reads)


def test_a_file_of_a_dataset_is_downloaded(hub_reads: list[str], tmp_path: Path) -> None:
    path = resolve("hf://datasets/owner/data/data/rows.jsonl", FOLDER_STORE, tmp_path, INSTRUCTIONS)
    assert path.read_bytes() == b"rows"
    assert hub_reads


def test_several_files_of_a_dataset_are_downloaded_in_order(hub_reads: list[str], tmp_path: Path) -> None:
    files = resolve_files("hf://datasets/owner/data@main/data/rows*.jsonl", FOLDER_STORE, tmp_path, INSTRUCTIONS)
    assert [path.read_bytes() for path in files] == [b"more", b"rows"]
    assert hub_reads


@pytest.mark.usefixtures("hub_reads")
@pytest.mark.parametrize("layout", BENCHMARK_FILES)
def test_benchmarks_are_read_from_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: PairFormat) -> None:
    repo, revision, file = BENCHMARK_FILES[layout]
    here = as_parquet(tmp_path / "published", ROWS[layout])
    monkeypatch.setitem(HUB, f"/api/datasets/{repo}/revision/{revision}", _listing([file]))
    monkeypatch.setitem(HUB, f"/datasets/{repo}/resolve/{COMMIT}/{file}", _file(here.read_bytes()))
    path = resolve(f"hf://datasets/{repo}@{revision}/{file}", FOLDER_STORE, tmp_path / "scratch", BENCHMARK)
    items = read_items(path, layout, Counter())
    assert items
    assert items == read_items(here, layout, Counter())


def test_every_published_layout_is_read_from_the_hub() -> None:
    assert BENCHMARK_FILES.keys() == set(PairFormat) - {PairFormat.PAIRS}


@pytest.mark.parametrize(
    ("uri", "kind", "reason"),
    [
        ("hf://owner/none", MODEL, Reason.MODEL_NOT_FOUND),
        ("hf://owner/model@v2", MODEL, Reason.MODEL_NOT_FOUND),
        ("hf://owner/gated", MODEL, Reason.MODEL_NOT_READABLE),
        ("hf://owner/denied", MODEL, Reason.MODEL_NOT_READABLE),
        ("hf://datasets/owner/data@main/none.jsonl", INSTRUCTIONS, Reason.INSTRUCTIONS_NOT_FOUND),
        ("hf://datasets/owner/none/x.jsonl", BENCHMARK, Reason.BENCHMARK_NOT_FOUND),
        ("hf://datasets/owner/data", BENCHMARK, Reason.BENCHMARK_NOT_FOUND),
        ("hf://owner/model@v1/model.safetensors", MODEL, Reason.MODEL_NOT_FOUND),
    ],
)
@pytest.mark.usefixtures("hub_reads")
def test_trouble_with_the_hub_is_told_as_trouble_with_the_input(tmp_path: Path, uri: str, kind: Kind, reason: Reason) -> None:
    assert refusal(uri, kind, tmp_path).reason is reason


@pytest.mark.usefixtures("hub_reads")
def test_a_broken_hub_is_the_platforms_trouble(tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match="owner/broken") as caught:
        resolve("hf://owner/broken", FOLDER_STORE, tmp_path, MODEL)
    assert caught.value.reason is Reason.HUB_UNAVAILABLE


@pytest.mark.parametrize("uri", ["hf://owner/model", "hf://datasets/owner/data/file.jsonl"])
def test_a_hub_out_of_reach_is_the_platforms_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(PlatformError, match="check the network"):
        resolve(uri, FOLDER_STORE, tmp_path, MODEL if "model" in uri else INSTRUCTIONS)
