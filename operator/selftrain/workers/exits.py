"""How a worker ends: exit codes and last words, which the Job's failure policy and the planner read."""

import ctypes
import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from selftrain.api.conditions import Reason
from selftrain.api.errors import ExitCode, SelfTrainError, UserError
from selftrain.api.records import Termination

log = logging.getLogger(__name__)

MESSAGE_LIMIT = 3000
TERMINATION_BYTES = 4096
"""The kubelet takes the last so many of a termination message, so a longer one would lose its beginning (Kubernetes, container API)."""
TERMINATION_LOG = Path("/dev/termination-log")


class Drained(BaseException):
    """The pod was asked to stop. Not an Exception, so that nobody who handles failures takes it for one."""


class Drain:
    """Turns SIGTERM into an orderly end: at once, or, while shards are being made, after the ones under way."""

    def __init__(self) -> None:
        self.requested = False
        self._deferred = False

    def install(self) -> None:
        """Listen to SIGTERM. Of the main thread only."""
        signal.signal(signal.SIGTERM, self._on_signal)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.requested = True
        if not self._deferred:
            raise Drained
        log.info("asked to stop: finishing the shards under way")

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Work that is to be finished first. Raises `Drained` at its end if SIGTERM came meanwhile."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False
        if self.requested:
            raise Drained


def last_words(error: BaseException) -> tuple[ExitCode, Termination]:
    """Exit code and termination message for what ended a worker."""
    match error:
        case Drained():
            return ExitCode.DRAINED, Termination(kind="drained", reason=Reason.DRAINED, message="stopped as asked")
        case UserError():
            return ExitCode.USER, Termination(kind="user", reason=error.reason, message=str(error)[:MESSAGE_LIMIT])
        case SelfTrainError():
            return ExitCode.PLATFORM, Termination(kind="platform", reason=error.reason, message=str(error)[:MESSAGE_LIMIT])
        case MemoryError():
            message = "the worker ran out of memory"
            return ExitCode.PLATFORM, Termination(kind="platform", reason=Reason.OUT_OF_MEMORY, message=message)
        case _:
            message = f"{type(error).__name__}: {error}"[:MESSAGE_LIMIT]
            return ExitCode.PLATFORM, Termination(kind="platform", reason=Reason.STAGE_FAILED, message=message)


def write_termination(words: Termination) -> None:
    """Leave the last words where the pod's status, or the local runner, finds them."""
    chosen = os.environ.get("SELFTRAIN_TERMINATION")
    path = Path(chosen) if chosen else TERMINATION_LOG
    if chosen or path.exists():
        path.write_bytes(_fitting(words))


def _fitting(words: Termination) -> bytes:
    """As JSON; what makes it too long is cut from the end of the message."""
    while len(text := words.model_dump_json().encode()) > TERMINATION_BYTES:
        words = words.model_copy(update={"message": words.message[: len(words.message) * 7 // 8]})
    return text


def end_with_parent() -> None:
    """In a new process: ask the kernel to end it as a pod would be ended if its parent dies, even by SIGKILL."""
    set_parent_death_signal = 1  # PR_SET_PDEATHSIG in prctl(2)
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGTERM)
