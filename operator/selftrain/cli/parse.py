"""selftrain parse: the verdict in each text, line by line, so that it can stand in a pipe."""

import json
import sys

from selftrain.api.errors import UserError
from selftrain.cli.rows import bad, lines_of
from selftrain.method.verdict import read_lenient, read_strict

RULES = {"strict": read_strict, "lenient": read_lenient}


def parse(rule: str) -> int:
    """Read {"text"} from standard input, write {"verdict"} to standard output: a line for each line, so that they match."""
    for number, line in lines_of(sys.stdin.buffer):
        text = _text(line, number) if line.strip() else None
        print(json.dumps({"verdict": None if text is None else RULES[rule](text)}), flush=True)
    return 0


def _text(line: bytes, number: int) -> str | None:
    """Python's reader takes halves of surrogate pairs too, as models write them."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _bad(number, f"no JSON: {error}") from error
    if not isinstance(row, dict) or "text" not in row:
        raise _bad(number, "no object with a text")
    if not isinstance(text := row["text"], str | None):
        raise _bad(number, "text is neither a string nor null")
    return text


def _bad(number: int, what: str) -> UserError:
    return bad(f"line {number}: {what}", 'give one {"text": "..."} a line; null and empty lines have no verdict')
