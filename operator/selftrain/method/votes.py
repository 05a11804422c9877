"""Deciding by majority."""

from collections.abc import Iterable

from selftrain.api.records import Verdict


def majority(votes: Iterable[Verdict | None]) -> Verdict | None:
    """The verdict said more often. Unparsed votes do not count; a tie is no verdict, and so is not right for anybody."""
    known = [vote for vote in votes if vote is not None]
    lead = known.count(Verdict.A) - known.count(Verdict.B)
    if lead == 0:
        return None
    return Verdict.A if lead > 0 else Verdict.B
