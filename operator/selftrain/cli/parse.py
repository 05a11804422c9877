"""selftrain parse: the verdict in each text, line by line, so that it can stand in a pipe."""

import json
import sys

from selftrain.cli.rows import Row, read_row
from selftrain.method.verdict import read_lenient, read_strict

RULES = {"strict": read_strict, "lenient": read_lenient}


class TextRow(Row):
    """A judgment."""

    text: str


def parse(rule: str) -> int:
    """Read {"text"} from standard input, write {"verdict"} to standard output."""
    for number, line in enumerate(sys.stdin.buffer, start=1):
        if line.strip():
            text = read_row(line, TextRow, f"line {number}").text
            print(json.dumps({"verdict": RULES[rule](text)}), flush=True)
    return 0
