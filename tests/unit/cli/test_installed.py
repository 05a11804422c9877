"""What a plain `pip install .` can do, and what it says of the rest."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.fixtures import RUNS

MANIFEST = str(RUNS / "good" / "smallest.yaml")
ABSENT = ["aiohttp", "boto3", "duckdb", "kopf", "kubernetes", "numpy", "pyarrow", "torch", "transformers", "vllm"]
"""What only extras bring. A module that is None cannot be imported."""
SCRIPT = f"import sys; sys.modules.update(dict.fromkeys({ABSENT})); from selftrain.cli.__main__ import main; sys.exit(main(sys.argv[1:]))"


def selftrain(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", SCRIPT, *arguments], input=given, capture_output=True, text=True, check=False)


def row(**fields: object) -> str:
    return json.dumps(fields) + "\n"


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        (["plan", MANIFEST], ""),
        (["plan", MANIFEST, "--estimate", "--assume", "parameters=8e9", "--assume", "instructions=20000"], ""),
        (["score", "pairs", "-"], row(id=1, subset="s", label="A", verdicts=["A", "A"])),
        (["parse"], row(text="[[A]]")),
    ],
    ids=["plan", "estimate", "score", "parse"],
)
def test_it_needs_no_extra(arguments: list[str], given: str) -> None:
    done = selftrain(*arguments, given=given)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_comparing_needs_no_extra(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(row(id=1, subset="s", label="A", verdicts=["A", "B"]))
    assert selftrain("compare", str(path), str(path)).returncode == 0


@pytest.mark.parametrize("command", ["select", "local"])
def test_the_extra_is_named(command: str) -> None:
    done = selftrain(command, MANIFEST)
    assert done.returncode == 2
    assert f"pip install '.[{command}]'" in done.stderr
    assert "Traceback" not in done.stderr
