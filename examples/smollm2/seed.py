"""Makes the demo's world in a folder: the seed judge, the instructions and the benchmark.

    python seed.py OUT FAMILY      seed/, skills.json, instructions.jsonl, benchmark.jsonl in OUT; selftrain must be importable

The seed is SmolLM2-135M-Instruct warmed up by selftrain's own train worker with the settings of seed.yaml, and measured
skill by skill. It is renamed into place last: a folder with seed/ in it is whole.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from selftrain.api.training import Train
from selftrain.workers.train import fine_tune

HERE = Path(__file__).resolve().parent
SEED = 42


def main() -> None:
    out, family = Path(sys.argv[1]), sys.argv[2]
    out.mkdir(parents=True, exist_ok=True)
    settings = Train.model_validate(yaml.safe_load((HERE / "seed.yaml").read_text())["train"])
    with tempfile.TemporaryDirectory(dir=out) as scratch:
        base, seed = Path(scratch) / "base", Path(scratch) / "seed"
        subprocess.run([sys.executable, HERE / "model.py", base], check=True)
        subprocess.run([sys.executable, HERE / "data.py", out, family], check=True)
        fine_tune(base, [out / "warmup.parquet"], settings, SEED, seed)
        subprocess.run([sys.executable, HERE / "skills.py", seed, out / "skills.json", family], check=True)
        seed.rename(out / "seed")


if __name__ == "__main__":
    main()
