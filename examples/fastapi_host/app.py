"""The application: one engine for as long as it lives, and routes around it."""

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from starlette.types import ASGIApp

from hubspot_sync import LoggingObserver

from . import accounts, connecting, status
from .access import Host
from .bounds import Bounded
from .pages import description
from .problems import answer_with_problems
from .security import ApiKeys, Arrivals, Invitations, WrongKeys
from .settings import Settings
from .syncs import Syncs


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application, ready for a server: `uvicorn --factory fastapi_host:create_app`.

    Args:
        settings: What to work with; read from the environment by default.
    """
    settings = settings or Settings.from_environment(os.environ)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
        loop = asyncio.get_running_loop()
        syncs = Syncs(workers=settings.workers, loop=loop)
        engine = await asyncio.to_thread(settings.open_engine, [LoggingObserver(), syncs])
        try:
            with at_signal(engine.stop):
                if settings.sync_due:
                    syncs.start_due(engine, settings.poll_every)
                yield {
                    "host": Host(
                        settings=settings,
                        engine=engine,
                        syncs=syncs,
                        api_keys=ApiKeys(settings.api_keys),
                        wrong_keys=WrongKeys(loop.time()),
                        invitations=Invitations(settings.encryption_keys),
                        arrivals=Arrivals(settings.encryption_keys),
                    )
                }
        finally:
            engine.stop()
            await syncs.wait()
            await asyncio.to_thread(engine.close)

    # Without FastAPI's own pages of the API, whose scripts come from elsewhere, and without its
    # redirects from paths with a slash too many, which trust the Host header.
    app = _Application(
        title="HubSpot accounts",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    answer_with_problems(app)
    app.include_router(connecting.routes)
    app.include_router(connecting.pages)
    app.include_router(accounts.routes)
    app.include_router(status.routes)
    app.include_router(status.pages)

    @app.get("/docs", include_in_schema=False)
    def show_description() -> HTMLResponse:
        """What clients can ask for."""
        return description(app.openapi())

    return app


class _Application(FastAPI):
    """With bounds around all of it, also around the answers to errors that nobody foresaw."""

    def build_middleware_stack(self) -> ASGIApp:
        """What a server calls."""
        return Bounded(super().build_middleware_stack())


@contextmanager
def at_signal(stop: Callable[[], None]) -> Iterator[None]:
    """Call *stop* as soon as the process is told to end, before the server reacts in its way.

    A server waits for its connections first and ends the lifespan then. Whoever follows a sync
    would keep it waiting to the end of that sync, so the syncs have to be stopped before.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's; whoever runs this elsewhere stops it by itself
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handle(number: int, frame: Any) -> None:
        stop()
        server = before[signal.Signals(number)]
        if callable(server):
            server(number, frame)

    for number in before:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
