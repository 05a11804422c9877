"""A real API server for the whole session, and a namespace for each test."""

import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from helpers.control_plane import ControlPlane, control_plane
from helpers.s3 import Server, versitygw

CRD = Path(__file__).parents[2] / "crds" / "selftrainruns.yaml"


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with control_plane(tmp_path_factory.mktemp("control-plane")) as started:
        started.kubectl("apply", "--server-side", "-f", str(CRD))
        _wait_served(started)
        yield started


def _wait_served(plane: ControlPlane) -> None:
    """`kubectl wait` gives up at once on a CRD that has no conditions yet."""
    deadline = time.monotonic() + 30
    while plane.kubectl("get", "selftrainruns", check=False).returncode:
        assert time.monotonic() < deadline, "the CRD is not served"
        time.sleep(0.1)


@pytest.fixture
def namespace(plane: ControlPlane) -> str:
    name = f"t-{uuid4().hex[:8]}"
    plane.kubectl("create", "namespace", name)
    return name


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with versitygw(tmp_path_factory.mktemp("s3")) as started:
        yield started
