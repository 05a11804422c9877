"""One cluster with selftrain installed and the micro model uploaded, for all end-to-end tests."""

import os
from collections.abc import Iterator

import pytest
from trial.cluster import Cluster, embedded, loaded_images, why_not
from trial.install import install, reachable_store, upload

from helpers.fixtures import MICRO, MODEL
from helpers.micro import NAMESPACE


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    reason = why_not()
    if reason and os.environ.get("CI") != "true":
        pytest.skip(reason)
    assert reason is None, reason
    made = embedded()
    install(made, loaded_images(), NAMESPACE)
    made.kubectl("-n", NAMESPACE, "delete", "selftrainruns.selftrain.dev", "--all", "--wait")
    yield made
    made.kubectl("-n", NAMESPACE, "delete", "selftrainruns.selftrain.dev", "--all", "--wait=false")


@pytest.fixture(scope="session")
def endpoint(cluster: Cluster) -> Iterator[str]:
    with reachable_store(cluster) as address:
        upload(address, MODEL, "inputs/micro/model")
        for name in ("instructions.jsonl", "benchmark.jsonl"):
            upload(address, MICRO / name, f"inputs/micro/{name}")
        yield address
