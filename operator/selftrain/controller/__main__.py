"""`python -m selftrain.controller`: the operator's process. It leads or waits, and ends when it no longer leads."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any

import kopf

from selftrain.controller.handlers import kopf_settings, registry
from selftrain.controller.health import Health
from selftrain.controller.leader import Election, LeadershipLost
from selftrain.controller.manifests import ManifestReader
from selftrain.controller.reconcile import Reconciler
from selftrain.controller.settings import Settings, SettingsError, read_settings
from selftrain.controller.watch import Resync, watchable
from selftrain.controller.work_queue import Key, WorkQueue
from selftrain.kube.client import Cluster, connect

log = logging.getLogger("selftrain.controller")

BAD_SETTINGS = 2


def main() -> int:
    """Read the settings and run; returns the exit code."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for chatty in ("kopf", "botocore"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    try:
        settings = read_settings(os.environ)
    except SettingsError as error:
        log.error("%s", error)  # noqa: TRY400 - the message is all there is to say
        return BAD_SETTINGS
    log.info("settings: %s", settings.model_dump_json(exclude_defaults=True))
    return asyncio.run(_serve(settings))


async def _serve(settings: Settings) -> int:
    """Wait for the Lease, then lead until told to stop."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    health = Health()
    server = await health.serve(settings.health_port)
    try:
        async with await connect() as api:
            cluster = Cluster(api)
            election = Election(cluster, settings.own_namespace, settings.lease_name, settings.identity)
            health.watch(election.stalled)
            await _first(election.acquire(), stop.wait())
            if not stop.is_set():
                await _lead(settings, cluster, election, health, stop)
            await election.release()
    finally:
        await server.cleanup()
    return 0


async def _lead(settings: Settings, cluster: Cluster, election: Election, health: Health, stop: asyncio.Event) -> None:
    """Run everything that acts until one part of it ends; all parts are needed."""
    manifests = ManifestReader()
    reconciler = Reconciler(cluster, manifests, settings.defaults)

    async def look(key: Key) -> float | None:
        again = await reconciler.look(key, _now())
        return None if again is None else (again - _now()).total_seconds()

    queue = WorkQueue(look)
    namespaces = await watchable(cluster, settings.namespaces) or settings.namespaces
    resync = Resync(cluster, namespaces, queue.add, set(settings.namespaces) - set(namespaces))
    health.watch(queue.stalled, resync.runs.stalled, resync.jobs.stalled)
    watching = kopf.operator(
        registry=registry(queue, resync),
        settings=kopf_settings(),
        standalone=True,
        identity=settings.identity,  # type: ignore[arg-type] # kopf would look up the user's name, which a pod has not
        clusterwide=not namespaces,
        namespaces=namespaces,
        stop_flag=stop,
    )
    await _first(watching, queue.run(settings.workers), resync.run(settings.resync_seconds), _hold(election))
    manifests.close()


async def _first(*work: Coroutine[Any, Any, Any]) -> None:
    """Run until one of these ends, then end the others. Raises what it ended with."""
    tasks = [asyncio.create_task(coroutine) for coroutine in work]
    ended, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    for task in ended:
        task.result()


async def _hold(election: Election) -> None:
    """A lost Lease ends the process on the spot, without tidying up: somebody else may be acting already."""
    try:
        await election.hold()
    except LeadershipLost:
        log.critical("lost the lease; ending at once")
        logging.shutdown()
        os._exit(1)


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the one place where the operator reads the clock


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    os._exit(code)  # threads that wait for a store which does not answer must not hold up the end
