"""Reading a verdict out of a judgment."""

from selftrain.api.records import Verdict

TIE = "tie"
SAID = {f"[[{verdict}]]": verdict for verdict in Verdict}
TIE_SAID = "[[C]]"


def parse_verdict(text: str) -> Verdict | None:
    """The one verdict in `text`, however often it is said; None if there is none or both.

    Strict, as in the released code that builds training data. A tie, [[C]], is no verdict: pairs have a winner by construction.
    """
    found = _said(text)
    return found[0] if len(found) == 1 else None


def parse_lenient(text: str) -> Verdict | None:
    """The first of A and B that occurs anywhere: "if ... [[A]] ... else [[B]]" is A. Source: process_judgement of RewardBench."""
    return next(iter(_said(text)), None)


def read_strict(text: str) -> str | None:
    """As `parse_verdict`, but a text that says only [[C]] is a tie."""
    return parse_verdict(text) if _said(text) else _tie(text)


def read_lenient(text: str) -> str | None:
    """As `parse_lenient`, but a text that says only [[C]] is a tie. Source: run_judge_single of FastChat."""
    return parse_lenient(text) or _tie(text)


def _said(text: str) -> list[Verdict]:
    """The verdicts that occur in a text, A before B."""
    return [verdict for token, verdict in SAID.items() if token in text]


def _tie(text: str) -> str | None:
    return TIE if TIE_SAID in text else None
