"""The worker process: exit code and last words, whatever happens."""

import json
from pathlib import Path

import pytest

from helpers.bench import Bench, make_judgments
from selftrain.api.errors import ExitCode
from selftrain.api.stages import Stage
from selftrain.workers.__main__ import main


@pytest.fixture
def pod(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The environment of a pod; returns its termination file."""
    monkeypatch.setenv("SELFTRAIN_SCRATCH", str(bench.folder / "pod"))
    monkeypatch.setenv("SELFTRAIN_TERMINATION", str(bench.folder / "termination"))
    return bench.folder / "termination"


def test_a_stage_is_done(bench: Bench, pod: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_judgments(bench)
    context = bench.context(Stage.SELECT)
    monkeypatch.setenv("SELFTRAIN_WORK", context.work.model_dump_json())
    assert main() == ExitCode.OK
    assert not pod.exists()
    assert context.store.read(context.layout.manifest(context.work.step))
    assert not list((bench.folder / "pod").iterdir()), "nothing is left in the scratch folder"


def test_a_user_error_is_told(bench: Bench, pod: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = bench.context(Stage.EVALUATE, iteration=0, model={"uri": "file:///nowhere"}).work.model_copy(update={"first": True})
    monkeypatch.setenv("SELFTRAIN_WORK", work.model_dump_json())
    assert main() == ExitCode.USER
    assert json.loads(pod.read_text())["reason"] == "ModelNotFound"


def test_a_broken_work_order_is_the_platforms_fault(pod: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFTRAIN_WORK", "{}")
    assert main() == ExitCode.PLATFORM
    assert json.loads(pod.read_text())["kind"] == "platform"
