"""selftrain local: read the manifest, run it to the end, print the table."""

import json
import sys
import time
from contextlib import closing
from pathlib import Path

from selftrain.api.conditions import Reason
from selftrain.api.errors import UserError
from selftrain.local.loop import LocalRun
from selftrain.local.manifest import read_run
from selftrain.planning.summary import is_stalled
from selftrain.report.progress import progress
from selftrain.report.summary import summarize
from selftrain.report.table import table
from selftrain.storage.open import open_store

STOPPING = "selftrain: stopping after the shards under way, or at once if interrupted again; started again, the run goes on from there"


def local(manifest: Path, store_uri: str | None, work: Path, summary_path: Path | None) -> int:
    """Run `manifest` on this machine. Returns 0 when the run succeeded, 1 when it stalled. Interrupted, it ends its processes first."""
    run = read_run(manifest, store_uri)
    if run.spec.suspend:
        raise UserError(Reason.INVALID_SPEC, "spec.suspend is true, so there is nothing to do", "set it to false, or leave it out")
    store = open_store(run.spec.store)
    begun = time.monotonic()

    def report(state: LocalRun) -> None:
        minutes, seconds = divmod(int(time.monotonic() - begun), 60)
        print(f"[{minutes:02d}:{seconds:02d}] {progress(state.run, store, state.last_line)}", flush=True)

    with closing(LocalRun(run, store, work / run.metadata.name)) as running:
        try:
            run = running.to_the_end(report)
        except KeyboardInterrupt:
            print(STOPPING, file=sys.stderr, flush=True)
            raise
    summary = summarize(run, store)
    print(table(summary))
    if summary_path is not None:
        summary_path.parent.mkdir(parents=True, exist_ok=True)
        summary_path.write_text(json.dumps(summary, indent=2) + "\n")
    stalled = is_stalled(run.status)
    if stalled is not None:
        print(f"selftrain: {stalled.reason}: {stalled.message}", file=sys.stderr)
    return 1 if stalled else 0
