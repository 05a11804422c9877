"""A sign of life while something long is silent."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

EVERY = 30.0
"""Seconds."""


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Say twice a minute that `what` is still going on, and for how long."""
    over, begun = Event(), time.monotonic()

    def tick() -> None:
        while not over.wait(EVERY):
            print(f"{what}: {(time.monotonic() - begun) / 60:.1f} min", file=sys.stderr, flush=True)

    thread = Thread(target=tick, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
