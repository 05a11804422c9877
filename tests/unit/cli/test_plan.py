"""selftrain plan: nothing is left to defaults, and what it prints is the same run."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from helpers.fixtures import RUNS
from selftrain.api.load import run_of
from selftrain.cli.__main__ import main
from selftrain.cli.plan import fill

ROOT = Path(__file__).parents[3]
GOOD = sorted(RUNS.glob("good/*.yaml"))


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_a_plan_is_the_run_with_everything_written_out(tmp_path: Path, capsys: pytest.CaptureFixture[str], path: Path) -> None:
    assert main(["plan", str(path)]) == 0
    told = capsys.readouterr().out
    run, planned = run_of(yaml.safe_load(path.read_text())), run_of(yaml.safe_load(told))
    assert planned.spec == fill(run).spec
    assert planned.spec.resolved == run.spec.resolved
    assert None not in (planned.spec.generate.answers, planned.spec.generate.negatives, planned.spec.select.require_mirror)
    (tmp_path / "again.yaml").write_text(told)
    assert main(["plan", str(tmp_path / "again.yaml")]) == 0
    assert capsys.readouterr().out == told


def test_a_bad_manifest_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run.yaml").write_text("kind: SelfTrainRun\n")
    assert main(["plan", str(tmp_path / "run.yaml")]) == 2
    assert "InvalidSpec" in capsys.readouterr().err


def test_an_estimate_says_what_it_assumes(capsys: pytest.CaptureFixture[str]) -> None:
    path = next(path for path in GOOD if path.stem == "gpu-70b")
    assert main(["plan", str(path), "--estimate", "--assume", "parameters=70.6e9", "--assume", "instructions=20000", "--gpu", "h200"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [stage["stage"] for stage in told["stages"]] == ["generate", "judge", "select", "train", "evaluate"]
    assert told["assumed"]["parameters"] == 70.6e9
    assert 100 < told["total"]["gpu_hours"] < 100_000
    assert told["total"]["storage_bytes"] > 5 * 2 * 70.6e9


def test_benchmarks_have_sizes_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    path = next(path for path in GOOD if path.stem == "benchmarks")
    assumed = ["parameters=1e9", "instructions=10", "held_out=100"]
    options = ["plan", str(path), "--estimate", *(word for one in assumed for word in ("--assume", one))]
    assert main([*options, "--assume", "held_out.ranked=7"]) == 0
    sizes = json.loads(capsys.readouterr().out)["assumed"]["held_out"]
    assert sizes.pop("ranked") == 7
    assert sizes == dict.fromkeys(("rated", "alone", "pairwise", "people", "arena", "correctness"), 100)
    assert main([*options, "--assume", "held_out.ranekd=7"]) == 2
    assert "held_out.ranekd is about no benchmark of the run; those of one each are held_out.ranked, " in capsys.readouterr().err


def test_the_worked_example_is_what_the_commands_beside_it_say(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    page, told = (ROOT / "docs" / "estimate.md").read_text(), []
    for line in re.findall(r"^selftrain (plan .*)$", page, re.MULTILINE):
        assert main(line.split()) == 0
        told.append(json.loads(capsys.readouterr().out))
    assert len(told) == 2
    for stages in zip(*(run["stages"] for run in told), strict=True):
        one = stages[0]
        counts = [f"{one['items']:,.0f}", f"{one['read_tokens'] / 1e6:,.0f}", f"{one['written_tokens'] / 1e6:,.0f}"]
        assert f"| {' | '.join([one['stage'], *counts, *_costs(stages)])} |" in page
    assert f"| all | | | | {' | '.join(_costs([run['total'] for run in told]))} |" in page


def _costs(runs: Sequence[dict[str, float]]) -> list[str]:
    return [*(f"{run['gpu_hours']:,.0f}" for run in runs), *(f"{run['storage_bytes'] / 1e9:,.2f}" for run in runs)]


@pytest.mark.parametrize("options", [[], ["--assume", "parameters=1e9"]])
def test_an_estimate_needs_sizes(capsys: pytest.CaptureFixture[str], options: list[str]) -> None:
    path = next(path for path in GOOD if path.stem == "smallest")
    assert main(["plan", str(path), "--estimate", *options]) == 2
    missing = "instructions" if options else "parameters and instructions"
    assert f"how many {missing} there are; give --assume " in capsys.readouterr().err


@pytest.mark.parametrize("size", ["nan", "inf", "1e400", "-1", "0"])
def test_an_assumption_is_a_number_above_0(capsys: pytest.CaptureFixture[str], size: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["plan", str(GOOD[0]), "--estimate", "--assume", f"parameters={size}"])
    assert ended.value.code == 2
    assert f"parameters of {size}: give a number above 0" in capsys.readouterr().err


def test_labelled_pairs_alone_need_no_instructions(capsys: pytest.CaptureFixture[str]) -> None:
    path = ROOT / "examples" / "ablations" / "labelled.yaml"
    assert main(["plan", str(path), "--estimate", "--assume", "parameters=8e9"]) == 2
    assert "how many labelled there are; give --assume labelled=7000" in capsys.readouterr().err
    assert main(["plan", str(path), "--estimate", "--assume", "parameters=8e9", "--assume", "labelled=7000"]) == 0
    generated, judged, *_ = json.loads(capsys.readouterr().out)["stages"]
    assert (generated["items"], judged["items"]) == (0, 7000 * 2 * 15 * 5)
