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
        ("rating", "Fine. [[7]]", "7", None),
        ("rating", "[[10]]", "10", None),
        ("rating", "From [[1]] to [[10]]: [[8]]", None, None),
        ("rating", "[[7]], and no more", "7", None),
        ("rating", "[[7]]\n\n7", "7", "7"),
        ("rating", "[[7]]\n\n8", "7", "8"),
        ("rating", "[[0]]", None, None),
        ("rating", "[[11]]", None, None),
        ("rating", "[[7.5]]", None, None),
        ("rating", "[[ 7 ]]", None, None),
        ("rating", "[[seven]]", None, None),
        ("rating", "A clear 9", None, "9"),
    ],
)
def test_rankings_and_ratings(prompt: str, text: str, strict: str | None, lenient: str | None) -> None:
    reading = READINGS[prompt]
    assert (reading.strict(text), reading.lenient(text)) == (strict, lenient)


@pytest.mark.parametrize(
    ("text", "rating"),
    [
        ("9", "9"),
        ("10", "10"),
        ("Clear and right.\n\n9 \n", "9"),
        ("Rating: 10", "10"),
        ("from 2 to 8", "8"),
        ("8/10", "10"),
        ("7.5", "5"),
        ("0.10", "10"),
        ("-3", "3"),
        ("**4", "4"),
        ("8\u00a0", "8"),
        ("I give it 6.", None),
        ("[[9]]", None),
        ("**9**", None),
        ("a9", None),
        ("_9", None),
        ("0", None),
        ("11", None),
        ("110", None),
        ("09", None),
        ("7.0", None),
        ("٣", None),
        ("9 of 10 points", None),
        ("", None),
    ],
)
def test_lenient_ratings_are_those_of_the_official_code(text: str, rating: str | None) -> None:
    r"""What `re.search(r"\b([1-9]|10)\b\s*$", text.strip())` of rewardbench/generative_v2.py (fd72033) finds in each."""
    assert READINGS["rating"].lenient(text) == rating
