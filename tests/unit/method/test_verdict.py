"""The strict parser: every row of the table of parsers in use, and texts that judges really write."""

import pytest

from selftrain.api.records import Verdict
from selftrain.method.verdict import parse_verdict


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("A is right. [[A]]", Verdict.A),
        ("[[B]]", Verdict.B),
        ("if the sum counts, [[A]], else [[B]]", None),  # both: the benchmarks' scorers read A
        ("[[B]] ... no, wait: [[A]]", None),
        ("A is better, I think.", None),  # none
        ("Both are fine: [[C]]", None),  # a tie
        ("[[C]] or [[A]]", Verdict.A),  # a tie is no verdict, so there is one
        ("[[A]] and once more [[A]]", Verdict.A),  # repeated
        ("[[[A]]]", Verdict.A),  # nested
        ("My verdict: [[A", None),  # truncated
        ("[[a]]", None),
        ("[[ A ]]", None),
        ("[[AB]]", None),
        ("", None),
    ],
)
def test_verdicts(text: str, verdict: Verdict | None) -> None:
    assert parse_verdict(text) is verdict
