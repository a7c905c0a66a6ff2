"""The gateway under uvicorn: for good, or for as long as one command takes."""

import asyncio
import logging
import os
import secrets
import signal
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Self

from pydantic import SecretStr

from aideator_gateway.command.assembly import open_gateway
from aideator_gateway.command.datadir import DATABASE, Address, announce, prepare, sole_server
from aideator_gateway.command.fit import shared_settings
from aideator_gateway.command.gateways import Gateways, Instance, serving
from aideator_gateway.hosting.limits import ConnectionLimits, room_for_connections
from aideator_gateway.hosting.server import HostedServer, listen
from aideator_gateway.http.app import create_app
from aideator_gateway.http.guard import MAX_BODY_BYTES
from aideator_gateway.http.handlers import State
from aideator_gateway.http.overflow import Overflow
from aideator_gateway.runs.problems import StartError
from aideator_gateway.runs.schema import check_database
from aideator_gateway.runs.store import OPEN_SECONDS
from aideator_gateway.settings import Settings

logger = logging.getLogger(__name__)

START_SECONDS = 60.0

GRACE_SECONDS = 2
"""How long calls may still be answered at the end."""

STREAMS_SECONDS = 2.0
"""How long readers may take for the last of a stream once all runs have ended."""


@asynccontextmanager
async def hosted(
    settings: Settings, *, serve: bool, log_level: str
) -> AsyncIterator[tuple[HostedServer, Address]]:
    """Open all of a gateway; give its server, which is to be run, and where it listens.

    The directory is looked at and locked first, then the address is bound, then the rest is
    opened: what another gateway holds is not touched.

    Parameters
    ----------
    serve
        Serve the data directory to other commands, of which there is one gateway at a time.
    log_level
        Least level of what the server itself logs.

    Raises
    ------
    StartError
        If the data directory, the database or the address cannot be used.
    """
    path = settings.data_dir
    async with AsyncExitStack() as stack:
        prepare(path)
        await asyncio.to_thread(check_database, path / DATABASE, OPEN_SECONDS)
        if serve:
            await stack.enter_async_context(sole_server(path, _holder(settings)))
        listener = stack.enter_context(_bound(settings))
        token = settings.token.get_secret_value() if settings.token else None
        address = Address(_url(settings.host, listener), token)
        instance = Instance(address.url, token, serve, shared_settings(settings))
        gateways = Gateways(path, instance)
        stack.enter_context(gateways.joined())
        state = await stack.enter_async_context(open_gateway(settings, gateways))
        if serve:
            announce(path, address)
        app, metrics, limits = create_app(settings, state), state["metrics"], _limits(settings)
        server = HostedServer(
            app,
            listener,
            grace_seconds=GRACE_SECONDS,
            log_level=log_level,
            before_close=lambda: _end(state, server),
            limits=limits,
            overflow=Overflow(app),
            cut=lambda reason: metrics.connections_cut.labels(reason).inc(),
        )
        metrics.connections_open.set_function(lambda: server.open_connections)
        metrics.show_limits({**settings.model_dump(), "max_connections": limits.connections})
        yield server, address


def _limits(settings: Settings) -> ConnectionLimits:
    return ConnectionLimits(
        connections=settings.max_connections or room_for_connections(),
        keep_alive_seconds=settings.keep_alive_seconds,
        header_seconds=settings.header_seconds,
        body_seconds=settings.body_seconds,
        send_seconds=settings.send_seconds,
        # Whoever sends a little more than is read is told so.
        body_bytes=2 * MAX_BODY_BYTES,
    )


async def _end(state: State, server: HostedServer) -> None:
    """End the runs, and let streams say how they ended."""
    try:
        await state["runs"].aclose()
        state["log"].let_go()
        await server.calls_ended(STREAMS_SECONDS)
    finally:
        state["log"].cut_off()


def _bound(settings: Settings) -> socket.socket:
    try:
        return listen(settings.host, settings.port)
    except OSError as error:
        # Python's own words repeat the address.
        said = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise StartError(
            f"Cannot listen on {settings.host} port {settings.port} ({said}): "
            "stop what uses it, or name another with --port (0 takes a free one)."
        ) from None


def _url(host: str, listener: socket.socket) -> str:
    """Return the address that commands on this machine call."""
    port = listener.getsockname()[1]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not bound here
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _holder(settings: Settings) -> str:
    found = serving(settings.data_dir)
    return f" (process {found.pid}, {found.url})" if found else ""


async def serve(settings: Settings) -> int | None:
    """Serve until SIGINT or SIGTERM, and return which; also while it is being opened.

    Raises
    ------
    StartError
        If it cannot start.
    """
    opening = asyncio.current_task()
    server: HostedServer | None = None
    received: list[int] = []

    def end(number: signal.Signals) -> None:
        received.append(number)
        if server is not None:
            server.handle_exit(number, None)
        elif opening is not None:
            opening.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end, number)
    try:
        async with hosted(settings, serve=True, log_level=settings.log_level) as (server, address):
            if settings.demo:
                logger.info("the model is a scripted demo, not an LLM: it costs nothing")
            logger.info("listening on %s", address.url)
            await server.serve()
            if server.force_exit:
                # Whoever leaves at once leaves things as they are, as after a crash.
                signal.signal(received[-1], signal.SIG_DFL)
                signal.raise_signal(received[-1])
    except asyncio.CancelledError:
        if not received:
            raise
    return received[0] if received else None


class EmbeddedGateway:
    """A gateway of this process alone, on a free loopback port, in a thread of its own.

    Use as a context manager; ``address`` says where it is.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings.model_copy(
            update={
                "host": "127.0.0.1",
                "port": 0,
                "token": SecretStr(secrets.token_urlsafe(24)),
            }
        )
        self._opened: tuple[HostedServer, Address] | None = None
        self._error: BaseException | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gateway", daemon=True)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - told to the thread that waits
            self._error = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        async with hosted(self._settings, serve=False, log_level="critical") as self._opened:
            self._ready.set()
            await self._opened[0].serve()

    @property
    def address(self) -> Address:
        """Where it can be called; known once started."""
        assert self._opened is not None  # noqa: S101 - what the docstring says
        return self._opened[1]

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(START_SECONDS) or self._error is not None:
            raise self._failure()
        return self

    def _failure(self) -> StartError:
        error = self._error
        if isinstance(error, StartError):
            return error
        if error is None:
            return StartError(f"The gateway did not start within {START_SECONDS:.0f} s.")
        return StartError(f"The gateway did not start: {type(error).__name__}: {error}")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._opened is not None:
            self._opened[0].should_exit = True
        self._thread.join(timeout=30)
