"""selftrain COMMAND: parse arguments, then import what the command needs."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from selftrain.api.errors import SelfTrainError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="selftrain", description="Self-taught evaluators: a better LLM judge without human labels.")
    commands = parser.add_subparsers(dest="command", required=True)
    local = commands.add_parser("local", help="run a manifest on this machine, without a cluster; resumes where it stopped")
    local.add_argument("manifest", type=Path, help="YAML file with one SelfTrainRun")
    local.add_argument("--store", help="store to use instead of the manifest's, for example file:///data/runs or s3://bucket/prefix")
    local.add_argument("--work", type=Path, default=_cache() / "local", help="folder for logs and scratch files (default: %(default)s)")
    local.add_argument("--summary", type=Path, help="write the summary to this JSON file")
    return parser


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "selftrain"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Errors meant for people are one line on stderr; exit code 2 says the input was wrong."""
    options = _parser().parse_args(arguments)
    try:
        from selftrain.local.command import local

        return local(options.manifest, options.store, options.work, options.summary)
    except SelfTrainError as error:
        print(f"selftrain: {error.reason}: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
