"""/healthz says what is stuck."""

import socket

import aiohttp

from selftrain.controller.health import Health


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


async def test_it_answers_with_what_is_stuck() -> None:
    stuck = ""
    health, port = Health(), free_port()
    health.watch(lambda: stuck, lambda: "")
    server = await health.serve(port)
    try:
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/healthz") as answer:
                assert (answer.status, await answer.text()) == (200, "ok")
            stuck = "the lease is old"
            async with session.get(f"http://127.0.0.1:{port}/healthz") as answer:
                assert (answer.status, await answer.text()) == (503, "the lease is old")
    finally:
        await server.cleanup()
