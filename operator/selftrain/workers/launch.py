"""Starts a pod's ranks with torchrun, waits for them, and turns what they leave behind into errors."""

import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from selftrain.api.conditions import Reason
from selftrain.api.errors import PlatformError, SelfTrainError, UserError
from selftrain.api.records import Termination
from selftrain.workers.exits import Drain, Drained, end_with_parent
from selftrain.workers.machine import Machine
from selftrain.workers.order import TrainOrder

log = logging.getLogger(__name__)

MODULE = "selftrain.workers.train_rank"
POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Rendezvous:
    """Where the pods of a training meet. The first one listens there."""

    host: str
    port: int
    name: str
    """Tells this attempt from others that may still be ending."""
    index: int
    nodes: int
    patience: int
    """Seconds to wait for the others: they may not be scheduled yet."""


def rendezvous(name: str, index: int, nodes: int, patience: int) -> Rendezvous | None:
    """The meeting point in SELFTRAIN_RENDEZVOUS; None for a training within one pod."""
    endpoint = os.environ.get("SELFTRAIN_RENDEZVOUS")
    if nodes == 1:
        return None
    if not endpoint:
        message = f"train.nodes is {nodes}, and SELFTRAIN_RENDEZVOUS does not say where they meet"
        raise PlatformError(Reason.ENGINE_FAILED, message, "start the pods with an endpoint (host:port)")
    host, _, port = endpoint.rpartition(":")
    return Rendezvous(host, int(port), name, index, nodes, patience)


def launch(order: TrainOrder, machine: Machine, meeting: Rendezvous | None, drain: Drain) -> None:
    """Run the training to its end. Raises what a rank failed with."""
    command = [sys.executable, "-m", "torch.distributed.run", *_arguments(order, meeting), "-m", MODULE, str(order.write())]
    if meeting and meeting.index:
        _wait_for(meeting)
    with drain.deferred():
        code = _watch(subprocess.Popen(command, env=environment(order, machine), preexec_fn=end_with_parent), order, drain)  # noqa: PLW1509 - no other thread yet; our own module
        if code:
            raise _failure(order, code)


def environment(order: TrainOrder, machine: Machine) -> dict[str, str]:
    """Environment of the ranks. They share the processors; what is set for the pod wins."""
    threads = max(1, machine.threads // order.settings.processes_per_node)
    defaults = {
        "OMP_NUM_THREADS": str(threads),
        # Threads that wait by spinning take the processor from those they wait for as soon as anything else runs beside
        # them, or a quota counts their time: 2.5 times slower was measured. Sleeping at once costs an eighth on a quiet
        # machine. So they spin for some microseconds.
        "GOMP_SPINCOUNT": "10000",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    return defaults | os.environ


def _arguments(order: TrainOrder, meeting: Rendezvous | None) -> Iterator[str]:
    yield f"--nproc-per-node={order.settings.processes_per_node}"
    yield "--max-restarts=0"  # a failed rank ends its pod: the Job counts it, and its pods go on from the last state
    if meeting is None:
        yield from ("--standalone", "--local-addr=127.0.0.1")
        return
    is_first = meeting.index == 0
    yield f"--nnodes={meeting.nodes}"
    yield "--rdzv-backend=c10d"
    yield f"--rdzv-id={meeting.name}"
    yield f"--rdzv-endpoint={meeting.host}:{meeting.port}"
    yield f"--rdzv-conf=is_host={int(is_first)},join_timeout={meeting.patience}"
    yield f"--local-addr={_own_address(meeting)}"


def _own_address(meeting: Rendezvous) -> str:
    """Address of this pod as the others see it: its host name need not be known to them."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((meeting.host, meeting.port))  # sends nothing
        return str(probe.getsockname()[0])


def _wait_for(meeting: Rendezvous) -> None:
    """Until the first pod listens. torchrun itself gives up after a minute."""
    deadline = time.monotonic() + meeting.patience
    while True:
        try:
            socket.create_connection((meeting.host, meeting.port), timeout=5).close()
        except OSError as error:
            if time.monotonic() > deadline:
                message = f"the first pod did not listen at {meeting.host}:{meeting.port} in time ({error})"
                raise PlatformError(Reason.ENGINE_FAILED, message, "see why it is not running") from error
            time.sleep(1)
        else:
            return


def _watch(process: "subprocess.Popen[bytes]", order: TrainOrder, drain: Drain) -> int:
    """Exit code. The ranks are told to stop by a file, since torchrun would end them at once on a signal."""
    while process.poll() is None:
        if drain.requested:
            order.drain.touch()
        time.sleep(POLL_SECONDS)
    return process.returncode


def _failure(order: TrainOrder, code: int) -> BaseException:
    """The most telling of what the ranks said: when one fails, the others fail over its absence."""
    words = [_said(path) for path in sorted(order.folder.glob("failure-*.json"))]
    ranked = sorted((said for said in words if said), key=lambda said: ("user", "drained", "platform").index(said.kind))
    if not ranked:
        message = f"a training process ended without a word (torchrun: {code}); if it was killed, memory was short"
        return PlatformError(Reason.ENGINE_FAILED, message, "read the pod's log")
    first = ranked[0]
    match first.kind:
        case "user":
            return _error(UserError, first)
        case "drained":
            return Drained()
        case "platform":
            return _error(PlatformError, next((said for said in ranked if said.reason != Reason.STAGE_FAILED), first))


def _error(kind: type[SelfTrainError], said: Termination) -> SelfTrainError:
    """A rank's error; its message already says what to do."""
    message, _, fix = said.message.rpartition("; ")
    reason = Reason.ENGINE_FAILED if said.reason is Reason.STAGE_FAILED else said.reason
    return kind(reason, message or said.message, fix if message else "read the pod's log")


def _said(path: Path) -> Termination | None:
    try:
        return Termination.model_validate_json(path.read_bytes())
    except ValidationError:
        return None  # it died while writing
