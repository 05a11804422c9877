"""selftrain local, before it starts anything."""

from pathlib import Path

import pytest
import yaml

from helpers.cluster import run_body
from selftrain.cli.__main__ import main


def test_a_suspended_run_is_told_instead_of_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(run_body(suspend=True)))
    assert main(["local", str(tmp_path / "run.yaml"), "--store", tmp_path.as_uri(), "--work", str(tmp_path / "work")]) == 2
    assert "InvalidSpec: spec.suspend is true" in capsys.readouterr().err
