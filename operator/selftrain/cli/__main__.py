"""selftrain COMMAND: parse arguments, then import what the command needs."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import fields
from math import inf
from pathlib import Path

from selftrain.api.errors import SelfTrainError
from selftrain.api.recipes import RECIPES
from selftrain.cli.schemas import described
from selftrain.method.benchmarks import NAMES
from selftrain.method.estimate import GPUS, Assumptions

EXTRAS = ("local", "select")
"""Commands that need more than the rest: the extra of the same name."""
INTERRUPTED, UNREAD = 128 + signal.SIGINT, 128 + signal.SIGPIPE
"""The exit codes that shells give a command ended by Ctrl-C, and one whose output nobody reads to its end, as before `| head`."""
ASSUMED = tuple(field.name for field in fields(Assumptions))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="selftrain", description="Self-taught evaluators: a better LLM judge without human labels.")
    commands = parser.add_subparsers(dest="command", required=True)
    _add_local(commands.add_parser("local", help="run a manifest on this machine, without a cluster; resumes where it stopped"))
    _add_plan(commands.add_parser("plan", help="the manifest with every default and the recipe's choices written out"))
    _add_score(
        commands.add_parser(
            "score",
            help="a benchmark's official numbers from rows of JSON lines",
            epilog=described(),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
    )
    parse = commands.add_parser("parse", help='the verdict in each text: {"text"} a line on stdin, {"verdict"} a line on stdout')
    parse.add_argument("--rule", choices=("strict", "lenient"), default="strict", help="strict: one verdict or none (default)")
    parse.set_defaults(run=_parse)
    _add_select(commands.add_parser("select", help="the selection alone, on judgments in Parquet files"))
    compare = commands.add_parser("compare", help="paired test of two judges on the same pairs")
    for name in ("first", "second"):
        compare.add_argument(name, type=Path, help="rows of the benchmark `pairs`")
    compare.set_defaults(run=_compare)
    return parser


def _add_local(local: argparse.ArgumentParser) -> None:
    local.add_argument("manifest", type=Path, help="YAML file with one SelfTrainRun")
    local.add_argument("--store", help="store to use instead of the manifest's, for example file:///data/runs or s3://bucket/prefix")
    local.add_argument("--work", type=Path, default=_cache() / "local", help="folder for logs and scratch files (default: %(default)s)")
    local.add_argument("--summary", type=Path, help="write the summary to this JSON file")
    local.set_defaults(run=_local)


def _add_plan(plan: argparse.ArgumentParser) -> None:
    plan.add_argument("manifest", type=Path, help="YAML file with one SelfTrainRun")
    plan.add_argument("--estimate", action="store_true", help="instead: completions, tokens, GPU hours and storage of each stage, as JSON")
    plan.add_argument("--gpu", choices=GPUS, default="h100")
    plan.add_argument("--assume", type=_assumption, action="append", default=[], metavar="NAME=NUMBER", help=f"one of {', '.join(ASSUMED)}")
    plan.set_defaults(run=_plan)


def _assumption(text: str) -> tuple[str, float]:
    name, _, number = text.partition("=")
    if name.partition(".")[0] not in ASSUMED:
        message = f"{name} is none of {', '.join(ASSUMED)}"
        raise argparse.ArgumentTypeError(message)
    value = float(number)
    if not (0 < value < inf):
        message = f"{name} of {number}: give a number above 0, or leave it out"
        raise argparse.ArgumentTypeError(message)
    return name, value


def _add_score(score: argparse.ArgumentParser) -> None:
    score.add_argument("benchmark", choices=NAMES)
    score.add_argument("rows", type=Path, help="file of JSON lines; - is standard input")
    score.add_argument("--prior-sets", action="store_true", help="rewardbench: the old leaderboard's rule, with Prior Sets at half weight")
    score.set_defaults(run=_score)


def _add_select(select: argparse.ArgumentParser) -> None:
    select.add_argument("judgments", type=Path, nargs="+", help="Parquet files: pair_id, order (AB, BA), sample, verdict")
    select.add_argument("--recipe", choices=RECIPES, default="paper")
    select.add_argument("--minimum-pass-rate", type=_share, help="instead of the recipe's, 0 to 1")
    select.add_argument("--require-mirror", action=argparse.BooleanOptionalAction, help="instead of the recipe's")
    select.add_argument("--seed", type=int, default=42)
    select.add_argument(
        "--iteration", type=_positive, default=1, help="takes part in the draw, as in a run; some recipes learn otherwise in the first"
    )
    select.add_argument("--contrasts", type=_positive, help="instead of the recipe's: for DPO, most pairs of judgments an ordered pair")
    select.add_argument("--kept", type=Path, help="write pair_id, order and sample of the kept judgments to this Parquet file")
    select.set_defaults(run=_select)


def _share(text: str) -> str:
    message = f"{text} is no number between 0 and 1"
    try:
        share = float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(message) from error
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(message)
    return text


def _positive(text: str) -> int:
    if int(text) < 1:
        message = f"{text} is less than 1"
        raise argparse.ArgumentTypeError(message)
    return int(text)


def _local(options: argparse.Namespace) -> int:
    from selftrain.local.command import local

    return local(options.manifest, options.store, options.work, options.summary)


def _plan(options: argparse.Namespace) -> int:
    from selftrain.cli.plan import estimated, plan
    from selftrain.cli.rows import say

    if options.estimate:
        say(estimated(options.manifest, options.gpu, dict(options.assume)))
    else:
        print(plan(options.manifest), end="")
    return 0


def _score(options: argparse.Namespace) -> int:
    from selftrain.cli.rows import say
    from selftrain.cli.score import score

    say(score(options.benchmark, options.rows, prior_sets=options.prior_sets).as_json())
    return 0


def _parse(options: argparse.Namespace) -> int:
    from selftrain.cli.parse import parse

    return parse(options.rule)


def _select(options: argparse.Namespace) -> int:
    from selftrain.cli.rows import say
    from selftrain.cli.select import recipe_of, select

    recipe = recipe_of(options.recipe, options.minimum_pass_rate, options.contrasts, require_mirror=options.require_mirror)
    own = {name: getattr(options, name) for name in ("seed", "iteration", "kept")}
    say(select(options.judgments, recipe, **own))
    return 0


def _compare(options: argparse.Namespace) -> int:
    from selftrain.cli.compare import compare
    from selftrain.cli.rows import say

    say(compare(options.first, options.second))
    return 0


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "selftrain"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Errors meant for people are one line on stderr; exit code 2 says the input was wrong."""
    try:
        return _main(arguments)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return UNREAD
    finally:
        _flush()


def _flush() -> None:
    """Write what is still in the buffer, unless nobody reads it any more: `| head` may have ended."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _main(arguments: Sequence[str] | None) -> int:
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except SelfTrainError as error:
        print(f"selftrain: {error.reason}: {' '.join(str(error).splitlines())}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if options.command not in EXTRAS:
            raise
        print(f"selftrain: {options.command} needs {error.name}: pip install '.[{options.command}]'", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
