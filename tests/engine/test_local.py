"""selftrain local, start to end: real vLLM and real DeepSpeed on the micro model, in seconds of compute."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from huggingface_hub import ModelCard

from helpers.files import as_lines
from helpers.fixtures import MICRO
from helpers.local import LAYOUT, command, logs, manifest_file, manifests, run_local
from selftrain.api.stages import Stage, Step
from selftrain.local.manifest import read_run
from selftrain.storage.commit import manifest_digest
from selftrain.storage.digests import file_digest
from selftrain.storage.open import open_store

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1200)]

DATASETS = PAIRS, JUDGMENTS, EXAMPLES = (Step(1, Stage.GENERATE), Step(1, Stage.JUDGE), Step(1, Stage.SELECT))
MADE_FROM = {
    JUDGMENTS: [PAIRS],
    EXAMPLES: [PAIRS, JUDGMENTS],
    Step(1, Stage.TRAIN): [EXAMPLES],
    Step(1, Stage.EVALUATE): [Step(1, Stage.TRAIN)],
}
"""The steps that each reads; the seed, the instructions and benchmarks are no steps."""


def benchmarks(folder: Path) -> dict[str, Any]:
    """The run's own benchmark, items of RewardBench 2 in two modes, and RM-Bench with its answers rated alone.

    The micro model has verdicts, but knows no ratings.
    """
    words = [
        {"prompt": f"Which number comes after {n}?", "chosen": [f"{n + 1}."], "rejected": [f"{n}.", f"{n + 2}.", "0."]} for n in range(9)
    ]
    best = [row | {"id": str(number), "subset": "Math"} for number, row in enumerate(words)]
    tied = [{"id": f"{kind}:1", "prompt": "Name a number.", "chosen": chosen, "rejected": ["Red."], "subset": "Ties"}
            for kind, chosen in (("ref", ["1."]), ("tied", ["1.", "2."]))]  # fmt: skip
    path = as_lines(folder / "many.jsonl", [*best, *tied])
    own = yaml.safe_load((MICRO / "run.yaml").read_text().replace("MICRO", str(MICRO)))["spec"]["evaluate"]
    many = [{"name": mode, "uri": f"file://{path}", "format": "rewardbench2", "mode": mode} for mode in ("ranking", "rating")]
    styles = [{**row, "id": str(n), "domain": "math", "chosen": [f"{n}{s}" for s in ".!;"], "rejected": [f"Red{s}" for s in ".!;"]}
              for n, row in enumerate(words[:2])]  # fmt: skip
    alone = {"name": "alone", "uri": f"file://{as_lines(folder / 'styles.jsonl', styles)}", "format": "rm-bench", "mode": "rating"}
    return {**own, "majorityOf": 3, "benchmarks": [*own["benchmarks"], *many, alone]}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an undisturbed run."""
    folder = tmp_path_factory.mktemp("finished")
    done = run_local(manifest_file(folder, evaluate=benchmarks(folder)), folder)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{logs(folder)}"
    return folder


def test_the_summary_tells_each_iteration(finished: Path) -> None:
    summary = json.loads((finished / "summary.json").read_text())
    assert [entry["iteration"] for entry in summary["iterations"]] == [0, 1]
    assert all(entry["total"] == 16 for entry in summary["iterations"])
    assert summary["iterations"][1]["kept"] > 0
    assert summary["iterations"][1]["distributions"]["kinds"]["variation"]["kept"] == summary["iterations"][1]["kept"]
    assert summary["iterations"][1]["distributions"]["lengths"]["count"] == summary["iterations"][1]["judgments"]
    assert set(summary["paired"]) == {"wins", "losses", "p"}
    assert (summary["chosen"]["iteration"], summary["chosen"]["by"]) == (1, "validation")
    assert 0 < summary["iterations"][1]["validation"]["total"] <= 6
    assert summary["iterations"][1]["embedding_probe"]["variation"]["total"] == summary["iterations"][1]["pairs"]
    assert 0 < summary["iterations"][1]["probe"]["variation"]["total"] <= summary["iterations"][1]["pairs"]
    assert summary["iterations"][1]["overlap"]["held-out"]["pairs"] == 8


def test_the_checkpoint_has_a_card_that_agrees_with_the_manifests(finished: Path) -> None:
    found = manifests(finished / "run.yaml", finished)
    done, selected = found[Step(1, Stage.EVALUATE)], found[Step(1, Stage.SELECT)]
    assert done.card is not None
    path = finished / "store" / done.card.key
    assert f"{path.parent.relative_to(finished / 'store')}/" == found[Step(1, Stage.TRAIN)].checkpoint
    assert file_digest(path) == done.card.sha256
    card = ModelCard.load(path)
    shares = [round(result.overall.correct / result.overall.total, 4) for result in done.results]
    assert [told.metric_value for told in card.data.eval_results] == shares
    assert done.validation is not None
    assert f"| 1 | {done.validation.overall.strict_correct} of {done.validation.overall.pairs} |" in card.text
    assert f"{selected.counts['kept']} kept" in card.text
    frozen = json.loads((finished / "store" / LAYOUT.run).read_text())
    weights = next(part for part in found[Step(1, Stage.TRAIN)].parts if part.key.endswith(".safetensors"))
    assert all(digest in card.text for digest in (*frozen["inputs"].values(), weights.sha256))


def test_every_benchmark_ends_with_a_result(finished: Path) -> None:
    iterations = json.loads((finished / "summary.json").read_text())["iterations"]
    for entry in iterations:
        own, ranking, rating, alone = entry["benchmarks"]
        assert (own["total"], ranking["total"], rating["total"], alone["total"]) == (16, 11, 11, 18)
        assert 0 < ranking["a_verdicts"] <= 9
        assert set(ranking["official"]["parts"]) >= {"Math"}
        assert rating["official"]["parts"]["Math"] == 0.25, "no rating is a guess"
        assert (alone["unparsed"], alone["official"]["parts"]["math"]) == (18, 0), "and no win in RM-Bench"
        assert {score["voted"]["votes"] for score in entry["benchmarks"]} == {3}, "the seed and the last judge vote too"
    assert all({"paired", "paired_with_votes"} <= score.keys() for score in iterations[1]["benchmarks"])


def test_lineage_reaches_from_the_checkpoint_to_the_instructions(finished: Path) -> None:
    store = open_store(read_run(finished / "run.yaml", f"file://{finished}/store").spec.store)
    found = manifests(finished / "run.yaml", finished)
    for step, sources in MADE_FROM.items():
        for source in sources:
            assert manifest_digest(store, LAYOUT, source) in found[step].inputs.values(), (step, source)
    frozen = json.loads(store.read(LAYOUT.run))
    assert found[Step(1, Stage.GENERATE)].inputs.items() & frozen["inputs"].items()


def test_counts_are_conserved(finished: Path) -> None:
    found = manifests(finished / "run.yaml", finished)
    generated, judged, selected = (found[step] for step in DATASETS)
    assert generated.counts["pairs"] + sum(generated.drops.values()) == 24
    assert sum(judged.counts.get(name, 0) for name in ("pairs", "pairs dropped before", "pairs held out")) == 24
    assert judged.counts["pairs"] == generated.counts["pairs"] - generated.counts["pairs held out"]
    assert judged.counts["judgments"] == judged.counts["pairs"] * 2 * 4
    assert selected.counts["kept"] + sum(selected.drops.values()) == judged.counts["judgments"]


def test_datasets_open_in_duckdb(finished: Path) -> None:
    found = manifests(finished / "run.yaml", finished)
    for step, rows in ((DATASETS[0], 24), (DATASETS[1], found[DATASETS[1]].counts["judgments"])):
        files = [str(finished / "store" / part.key) for part in found[step].parts]
        counted = duckdb.execute("SELECT count(*) FROM read_parquet($files)", {"files": files})
        assert counted.fetchone() == (rows,)


def test_a_second_start_of_a_finished_run_does_nothing(finished: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (finished / "store").rglob("*") if path.is_file()}
    assert run_local(finished / "run.yaml", finished).returncode == 0
    assert {path: path.stat().st_mtime_ns for path in (finished / "store").rglob("*") if path.is_file()} == before


def test_killed_while_judging_it_goes_on_and_the_datasets_are_the_same(finished: Path, tmp_path: Path) -> None:
    training = yaml.safe_load((MICRO / "run.yaml").read_text())["spec"]["train"]
    manifest = manifest_file(tmp_path, train=training | {"lora": {"rank": 4}})  # no data depend on it, and vLLM has to serve what comes out
    with subprocess.Popen(command(manifest, tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        shards = tmp_path / "store" / LAYOUT.shards(DATASETS[1])
        while not list(shards.glob("*/00000.json")):
            assert process.poll() is None, logs(tmp_path)
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
    (marker,) = shards.glob("*/00000.json")
    first = marker.stat().st_mtime_ns
    done = run_local(manifest, tmp_path)
    assert done.returncode == 0, f"{done.stdout}\n{logs(tmp_path)}"
    assert marker.stat().st_mtime_ns == first
    undisturbed, resumed = manifests(finished / "run.yaml", finished), manifests(manifest, tmp_path)
    assert resumed.keys() == undisturbed.keys()
    for step in DATASETS:
        assert [part.sha256 for part in resumed[step].parts] == [part.sha256 for part in undisturbed[step].parts], step


def first_worker(runner: int) -> int:
    """Process of the first worker that a local run has started, once it is one."""
    while True:
        for child in Path(f"/proc/{runner}/task/{runner}/children").read_text().split():
            if b"selftrain.workers" in Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
        time.sleep(0.05)


def hold(process: int) -> None:
    os.kill(process, signal.SIGSTOP)
    while "State:\tT" not in Path(f"/proc/{process}/status").read_text():
        time.sleep(0.05)


@pytest.mark.parametrize("times", [1, 2])
def test_interrupted_at_the_terminal_it_says_so_and_leaves_no_process(tmp_path: Path, times: int) -> None:
    # As a terminal starts it; what runs in a shell's background ignores the signal, and hands that on.
    started = ["env", "--default-signal=INT", *command(manifest_file(tmp_path), tmp_path)]
    with subprocess.Popen(started, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        worker = first_worker(process.pid)
        hold(worker)  # so that it cannot end before the second interruption
        for _ in range(times):
            process.send_signal(signal.SIGINT)
            time.sleep(1)
        if times == 1:
            os.kill(worker, signal.SIGCONT)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert said.startswith("selftrain: stopping after the shards under way")
    assert len(said.splitlines()) == 1
    assert not Path(f"/proc/{worker}").exists()


def test_an_authors_error_ends_the_run_with_advice(tmp_path: Path) -> None:
    manifest = manifest_file(tmp_path, instructions={"uri": f"file://{MICRO}/instructions.jsonl", "textField": "question"})
    done = run_local(manifest, tmp_path)
    assert done.returncode == 1
    assert "InstructionsInvalid" in done.stdout + done.stderr
    assert "question" in done.stdout
