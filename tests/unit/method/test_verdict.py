"""The parsers: every row of the table of those in use, and texts that judges really write."""

import pytest

from selftrain.api.records import Verdict
from selftrain.method.verdict import READINGS, parse_lenient, parse_verdict


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


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("if the sum counts, [[A]], else [[B]]", Verdict.A),
        ("[[B]] ... no, wait: [[A]]", Verdict.A),
        ("[[C]], or [[B]]", Verdict.B),
        ("[[C]]", None),
    ],
)
def test_lenient_verdicts(text: str, verdict: Verdict | None) -> None:
    assert parse_lenient(text) is verdict


@pytest.mark.parametrize(
    ("prompt", "text", "strict", "lenient"),
    [
        ("ranking", "D is best. [[D]]", "D", "D"),
        ("ranking", "Not [[B]] but [[C]]", None, "B"),
        ("ranking", "[[E]]", None, None),
        ("ranking", "[[d]]", None, None),
        ("rating", "Fine. [[7]]", "7", "7"),
        ("rating", "[[10]]", "10", "10"),
        ("rating", "From [[1]] to [[10]]: [[8]]", None, "8"),
        ("rating", "A clear 9", None, "9"),
        ("rating", "I give it 6.", None, "6"),
        ("rating", "[[7]], and no more", "7", None),
        ("rating", "[[0]]", None, None),
        ("rating", "[[11]]", None, None),
        ("rating", "[[7.5]]", None, None),
        ("rating", "[[ 7 ]]", None, "7"),
        ("rating", "[[seven]]", None, None),
        ("rating", "[[-3]]", None, "3"),
        ("rating", "", None, None),
    ],
)
def test_rankings_and_ratings(prompt: str, text: str, strict: str | None, lenient: str | None) -> None:
    reading = READINGS[prompt]
    assert (reading.strict(text), reading.lenient(text)) == (strict, lenient)
