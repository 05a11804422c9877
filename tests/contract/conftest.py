"""The stores that the contract suite runs against."""

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from helpers.s3 import ACCESS_KEY, SECRET_KEY, Server, ministack, versitygw
from selftrain.api.v1alpha1 import StoreSpec
from selftrain.storage.open import open_store
from selftrain.storage.protocol import ObjectStore

NUMBERS = count()


@pytest.fixture(scope="session")
def versitygw_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with versitygw(tmp_path_factory.mktemp("versitygw")) as server:
        yield server


@pytest.fixture(scope="session")
def ministack_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with ministack(tmp_path_factory.mktemp("ministack")) as server:
        yield server


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """The right keys, and nothing of the machine's own AWS configuration."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)


@pytest.fixture(params=["versitygw", "ministack"])
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(f"{request.param}_server")
    return found


@pytest.fixture
def s3_spec(server: Server) -> StoreSpec:
    """A bucket of its own for every test."""
    bucket = f"bucket-{next(NUMBERS)}"
    server.make_bucket(bucket)
    return StoreSpec(uri=f"s3://{bucket}/some/prefix", endpoint=server.endpoint)


@pytest.fixture(params=["folder", "versitygw", "ministack"])
def spec(request: pytest.FixtureRequest, tmp_path: Path) -> StoreSpec:
    if request.param == "folder":
        return StoreSpec(uri=(tmp_path / "store").as_uri())
    server: Server = request.getfixturevalue(f"{request.param}_server")
    bucket = f"bucket-{next(NUMBERS)}"
    server.make_bucket(bucket)
    return StoreSpec(uri=f"s3://{bucket}/some/prefix", endpoint=server.endpoint)


@pytest.fixture
def store(spec: StoreSpec) -> ObjectStore:
    return open_store(spec)
