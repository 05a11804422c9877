"""GET /healthz: 200 while things move, 503 with what is stuck otherwise. A process that only answers is not healthy."""

from collections.abc import Callable

from aiohttp import web

Check = Callable[[], str]
"""What is stuck, in words; empty if nothing is."""


class Health:
    """The checks that hold for this replica: more of them once it leads."""

    def __init__(self) -> None:
        self._checks: list[Check] = []

    def watch(self, *checks: Check) -> None:
        """Ask these from now on."""
        self._checks += checks

    def problems(self) -> list[str]:
        """What is stuck now."""
        return [problem for check in self._checks if (problem := check())]

    async def serve(self, port: int) -> web.AppRunner:
        """Answer until the runner is cleaned up."""
        application = web.Application()
        application.router.add_get("/healthz", self._answer)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, port=port).start()
        return runner

    async def _answer(self, _: web.Request) -> web.Response:
        problems = self.problems()
        return web.Response(text="\n".join(problems or ["ok"]), status=503 if problems else 200)
