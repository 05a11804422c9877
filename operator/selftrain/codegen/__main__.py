"""`python -m selftrain.codegen` writes the generated files; `--check` prints how they differ from what would be written."""

import argparse
import sys
from difflib import unified_diff
from pathlib import Path

from selftrain.codegen.files import generated

ROOT = Path(__file__).parents[3]


def main(arguments: list[str]) -> int:
    """Write or check; the exit code says whether the files are as they should be."""
    parser = argparse.ArgumentParser(prog="selftrain.codegen", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    if parser.parse_args(arguments).check:
        return check(ROOT)
    for path, text in generated().items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text)
    return 0


def check(root: Path) -> int:
    """Print a diff for each file that differs."""
    differences = [diff for path, text in generated().items() if (diff := _diff(root, path, text))]
    sys.stdout.writelines(differences)
    if differences:
        sys.stdout.write("generated files are out of date; run `make generate`\n")
    return 1 if differences else 0


def _diff(root: Path, path: str, text: str) -> str:
    file = root / path
    old = file.read_text().splitlines(keepends=True) if file.exists() else []
    return "".join(unified_diff(old, text.splitlines(keepends=True), path, f"{path} (generated)"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
