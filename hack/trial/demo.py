"""make demo: from nothing to a better judge, on the embedded cluster, on the current context, or on this machine alone.

Leaves build/demo/summary.json and ends with an error unless the last judge is better than the seed at p < 0.05.
"""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from selftrain.local.command import local
from selftrain.report.summary import Summary, summarize
from selftrain.report.table import table
from trial.cluster import ROOT, Cluster, ClusterError, current, embedded, loaded_images, why_not
from trial.follow import follow, store_of
from trial.install import BUCKET, install, placed, reachable_store, upload
from trial.patience import waiting

EXAMPLE = ROOT / "examples" / "smollm2"
MANIFEST = EXAMPLE / "run.yaml"
NAMESPACE = "selftrain-demo"
INPUTS = f"s3://{BUCKET}/inputs/smollm2"
OUT = ROOT / "build" / "demo"
SIGNIFICANT = 0.05


def say(line: str) -> None:
    print(line, flush=True)


def world(family: str = "demo") -> Path:
    """Folder with a seed judge, instructions and a benchmark for a family of tasks; made once for each version of their sources."""
    sources = sorted(path for path in EXAMPLE.iterdir() if path.suffix in (".py", ".txt", ".yaml") and path != MANIFEST)
    prompts = json.dumps(yaml.safe_load(MANIFEST.read_text())["spec"]["prompts"])  # all that the seed is made from of the run
    key = hashlib.sha256(b"".join(path.read_bytes() for path in sources) + prompts.encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "selftrain"
    folder = cache / f"smollm2-{key}" / family
    if not (folder / "seed").exists():
        say("making the seed judge and its world (some minutes, once)")
        with waiting("making the seed judge"):
            subprocess.run([sys.executable, str(EXAMPLE / "seed.py"), str(folder), family], check=True)
    return folder


def given_images() -> dict[str, str]:
    """Images for a cluster of one's own: IMAGES=registry/prefix:tag; without it the chart's."""
    given = os.environ.get("IMAGES")
    if given is None:
        return {}
    prefix, _, tag = given.rpartition(":")
    return {name: f"{prefix}/{name}:{tag}" for name in ("controller", "generate", "train", "versitygw")}


def on_cluster(cluster: Cluster, images: dict[str, str], folder: Path) -> Summary:
    """Install, upload, apply, follow."""
    body = yaml.safe_load(MANIFEST.read_text())
    name = body["metadata"]["name"]
    install(cluster, images, NAMESPACE)
    with reachable_store(cluster) as endpoint:
        say("uploading the seed judge, the instructions and the benchmark")
        for item in ("seed", "instructions.jsonl", "benchmark.jsonl"):
            upload(endpoint, folder / item, f"inputs/smollm2/{item}")
        cluster.kubectl("-n", NAMESPACE, "delete", "selftrainruns.selftrain.dev", name, "--ignore-not-found", "--wait")
        cluster.apply(placed(with_inputs(body, INPUTS), NAMESPACE))
        run = follow(cluster, NAMESPACE, name, endpoint, say)
        say(cluster.kubectl("-n", NAMESPACE, "get", "selftrainruns.selftrain.dev", name))
        return summarize(run, store_of(run, endpoint))


def on_this_machine(folder: Path) -> Summary:
    """The same manifest without a cluster."""
    manifest, path = OUT / "run.yaml", OUT / "summary.json"
    body = with_inputs(yaml.safe_load(MANIFEST.read_text()), f"file://{folder}")
    manifest.write_text(yaml.safe_dump(body))
    local(manifest, f"file://{OUT}/store", OUT / "work", path)
    summary: Summary = json.loads(path.read_text())
    return summary


def with_inputs(body: dict[str, Any], where: str) -> dict[str, Any]:
    """The example's run with its inputs at `where`."""
    text: str = yaml.safe_dump(body).replace(INPUTS, where)
    changed: dict[str, Any] = yaml.safe_load(text)
    return changed


def main() -> int:
    """Run the demo. Returns 0 if the last judge is better than the seed."""
    OUT.mkdir(parents=True, exist_ok=True)
    mine = os.environ.get("CLUSTER") == "current"
    reason = None if mine else why_not()
    if reason:
        say(f"{reason}; running the same manifest with selftrain local")
        summary = on_this_machine(world())
    else:
        cluster = current() if mine else embedded()
        images = given_images() if mine else loaded_images()
        summary = on_cluster(cluster, images, world())
    (OUT / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    say(table(summary))
    scored = [entry["accuracy"] for entry in summary["iterations"] if "accuracy" in entry]
    better = len(scored) > 1 and scored[-1] > scored[0] and summary["paired"]["p"] < SIGNIFICANT
    say("the last judge is better than the seed" if better else "the last judge is NOT better than the seed")
    return 0 if better else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ClusterError as error:
        sys.exit(f"demo: {error}")
    except KeyboardInterrupt:
        sys.exit("demo: interrupted; make demo starts it again")
