"""Reading a verdict out of a judgment."""

import re

from selftrain.api.records import Verdict

TOKEN = re.compile(r"\[\[(A|B)\]\]")


def parse_verdict(text: str) -> Verdict | None:
    """The one verdict in `text`, however often it is said; None if there is none or both.

    Strict, as in the released code that builds training data. The benchmarks' own scorers are lenient and read
    "if ... [[A]] ... else [[B]]" as A. A tie, [[C]], is no verdict: pairs have a winner by construction.
    """
    found = set(TOKEN.findall(text))
    return Verdict(found.pop()) if len(found) == 1 else None
