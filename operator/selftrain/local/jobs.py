"""Jobs of a local run: a stage's pods as subprocesses, with the same work order, exit codes and last words as in a pod."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from selftrain.api.conditions import Reason
from selftrain.api.errors import ExitCode
from selftrain.api.names import job_name
from selftrain.api.records import Termination, Work
from selftrain.api.stages import Stage, Step
from selftrain.planning.observed import Blame, Failure, JobState, JobView
from selftrain.workers.exits import end_with_parent


@dataclass
class LocalJob:
    """One attempt of one step. Samplers share the machine, so their indexes run one after another; ranks run together."""

    work: Work
    folder: Path
    created: datetime
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)
    next_index: int = 0
    failure: Failure | None = None
    finished: datetime | None = None

    @property
    def name(self) -> str:
        return job_name(self.work.run.name, self.work.step, self.work.attempt)

    def log(self, index: int) -> Path:
        """The output of one index."""
        return self.folder / f"{self.name}-{index}.log"

    def poll(self, now: datetime) -> JobState:
        """Start what is due, collect what has ended."""
        while self.finished is None:
            ended = [process for process in self.running if process.poll() is not None]
            failed = next((process for process in ended if process.returncode != ExitCode.OK), None)
            if failed is not None:
                self._end(now, self._failure_of(failed))
            elif len(ended) < len(self.running):
                return JobState.RUNNING
            elif self.next_index < self.work.pods:
                self._launch()
            else:
                self._end(now, None)
        return JobState.FAILED if self.failure else JobState.SUCCEEDED

    def stop(self) -> None:
        """End all processes: politely first, so that they can finish their shard; at once if this wait is interrupted."""
        alive = [process for process in self.running if process.poll() is None]
        for process in alive:
            process.send_signal(signal.SIGTERM)
        try:
            with suppress(subprocess.TimeoutExpired):
                for process in alive:
                    process.wait(self.work.pod_settings.grace_seconds)
        finally:
            for process in alive:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()

    def view(self, now: datetime) -> JobView:
        """The Job as the planner sees it."""
        state = self.poll(now)
        step = Step(self.work.iteration, self.work.stage)
        return JobView(self.name, step, self.work.attempt, state, self.created, self.finished, self.failure)

    def _end(self, now: datetime, failure: Failure | None) -> None:
        self.stop()
        shutil.rmtree(self._scratch, ignore_errors=True)
        self.failure, self.finished = failure, now

    def _launch(self) -> None:
        together = self.work.pods if self.work.stage is Stage.TRAIN else 1
        shared = {"SELFTRAIN_WORK": self.work.model_dump_json(by_alias=True)}
        if together > 1:
            shared["SELFTRAIN_RENDEZVOUS"] = f"127.0.0.1:{_free_port()}"
            shared["OMP_NUM_THREADS"] = str(max(1, len(os.sched_getaffinity(0)) // together))  # they share this machine
        self.running = [self._process(index, shared) for index in range(self.next_index, self.next_index + together)]
        self.next_index += together

    def _process(self, index: int, shared: dict[str, str]) -> subprocess.Popen[bytes]:
        scratch = self._scratch / str(index)
        scratch.mkdir(parents=True, exist_ok=True)
        self._termination(index).unlink(missing_ok=True)
        own = {
            "JOB_COMPLETION_INDEX": str(index),
            "SELFTRAIN_SCRATCH": str(scratch),
            "SELFTRAIN_TERMINATION": str(self._termination(index)),
        }
        command = [sys.executable, "-m", "selftrain.workers"]
        with self.log(index).open("ab") as log:
            return subprocess.Popen(
                command,
                env={**os.environ, **shared, **own},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=end_with_parent,  # noqa: PLW1509 - this process has no other thread when it starts jobs
            )

    @property
    def _scratch(self) -> Path:
        return self.folder / "scratch" / self.name

    def _termination(self, index: int) -> Path:
        return self.folder / f"{self.name}-{index}.termination.json"

    def _failure_of(self, process: subprocess.Popen[bytes]) -> Failure:
        index = self.next_index - len(self.running) + self.running.index(process)
        try:
            said = Termination.model_validate_json(self._termination(index).read_bytes())
        except (OSError, ValidationError):
            message = f"index {index} ended with exit code {process.returncode}; read {self.log(index)}"
            return Failure(Blame.PLATFORM, Reason.STAGE_FAILED, message)
        return Failure.told(said)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
