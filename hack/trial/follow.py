"""Follow a run on a cluster: a line whenever its status changes and every few seconds, until it has succeeded or stalled."""

import time
from collections.abc import Callable
from functools import partial

from selftrain.api.load import run_of
from selftrain.api.v1alpha1 import SelfTrainRun
from selftrain.report.progress import progress
from selftrain.storage.open import open_store
from selftrain.storage.protocol import ObjectStore
from trial.cluster import Cluster, ClusterError

LOOK_SECONDS = 2.0
SAY_SECONDS = 10.0


def read(cluster: Cluster, namespace: str, name: str) -> SelfTrainRun:
    """The run as the API server has it."""
    return run_of(cluster.get("-n", namespace, "selftrainruns.selftrain.dev", name))


def store_of(run: SelfTrainRun, endpoint: str) -> ObjectStore:
    """The run's store, reached through `endpoint` from this machine."""
    return open_store(run.spec.store.model_copy(update={"endpoint": endpoint, "credentials": None}))


def last_line(cluster: Cluster, namespace: str, job: str) -> str:
    """The last line that a Job's first pod has written, nothing if it has none yet."""
    try:
        return cluster.kubectl("-n", namespace, "logs", f"job/{job}", "--tail=1").strip()
    except ClusterError:
        return ""


def follow(cluster: Cluster, namespace: str, name: str, endpoint: str, say: Callable[[str], None]) -> SelfTrainRun:
    """Watch the run to its end and return it."""
    begun, said, seen = time.monotonic(), 0.0, None
    while True:
        try:
            run = read(cluster, namespace, name)
        except ClusterError:  # the API server is away for a moment
            time.sleep(LOOK_SECONDS)
            continue
        if run.status != seen or time.monotonic() - said > SAY_SECONDS:
            minutes, seconds = divmod(int(time.monotonic() - begun), 60)
            line = progress(run, store_of(run, endpoint), partial(last_line, cluster, namespace))
            say(f"[{minutes:02d}:{seconds:02d}] {line}")
            said, seen = time.monotonic(), run.status
        if run.status.ended:
            return run
        time.sleep(LOOK_SECONDS)
