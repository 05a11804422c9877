"""How a worker ends: codes, last words, and SIGTERM."""

import os
import signal
from pathlib import Path

import pytest

from selftrain.api.conditions import Reason
from selftrain.api.errors import ExitCode, PlatformError, UserError
from selftrain.api.records import Termination
from selftrain.workers.exits import Drain, Drained, last_words, write_termination


@pytest.mark.parametrize(
    ("error", "code", "kind", "reason"),
    [
        (UserError(Reason.NO_PAIRS, "none", "do"), ExitCode.USER, "user", Reason.NO_PAIRS),
        (PlatformError(Reason.ENGINE_FAILED, "broke", "read"), ExitCode.PLATFORM, "platform", Reason.ENGINE_FAILED),
        (MemoryError(), ExitCode.PLATFORM, "platform", Reason.OUT_OF_MEMORY),
        (ValueError("odd"), ExitCode.PLATFORM, "platform", Reason.STAGE_FAILED),
        (Drained(), ExitCode.DRAINED, "drained", Reason.DRAINED),
    ],
)
def test_last_words(error: BaseException, code: ExitCode, kind: str, reason: Reason) -> None:
    exit_code, words = last_words(error)
    assert (exit_code, words.kind, words.reason) == (code, kind, reason)
    assert words.message


def test_the_termination_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFTRAIN_TERMINATION", str(tmp_path / "words"))
    words = Termination(kind="user", reason=Reason.NO_PAIRS, message="none; do")
    write_termination(words)
    assert Termination.model_validate_json((tmp_path / "words").read_text()) == words


@pytest.mark.parametrize("sign", ["x", "問", '"', "\0"])
def test_the_termination_file_is_no_longer_than_the_kubelet_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sign: str) -> None:
    monkeypatch.setenv("SELFTRAIN_TERMINATION", str(tmp_path / "words"))
    _, words = last_words(UserError(Reason.NO_PAIRS, sign * 10_000, "do"))
    write_termination(words)
    written = (tmp_path / "words").read_bytes()
    assert 2500 < len(written) <= 4096
    assert Termination.model_validate_json(written).message.startswith(sign * 500)


def test_sigterm_ends_at_once_or_after_what_is_deferred() -> None:
    drain, before = Drain(), signal.getsignal(signal.SIGTERM)
    drain.install()
    try:
        finished = False
        with pytest.raises(Drained), drain.deferred():  # noqa: PT012 - that the block goes on after the signal is the point
            os.kill(os.getpid(), signal.SIGTERM)
            assert drain.requested
            finished = True
        assert finished
        with pytest.raises(Drained):
            os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_failure_while_deferred_is_told_as_it_is() -> None:
    drain = Drain()
    drain.requested = True
    with pytest.raises(ValueError, match="odd"), drain.deferred():
        raise ValueError("odd")  # noqa: EM101 - an error of any kind
