"""The gateway under uvicorn: for good, or for as long as one command takes."""

import asyncio
import contextlib
import secrets
import socket
import threading
import time
from collections.abc import AsyncIterator
from types import FrameType, TracebackType
from typing import Self

import uvicorn
from pydantic import SecretStr
from starlette.types import Message, Receive, Scope, Send

from aideator_gateway.command.assembly import open_gateway
from aideator_gateway.command.datadir import Address, announce
from aideator_gateway.http.app import create_app
from aideator_gateway.http.routes import State
from aideator_gateway.settings import Settings, SettingsError

START_SECONDS = 60.0

STREAMS_SECONDS = 2.0
"""How long readers may take for the last of a stream once all runs have ended."""


class GatewayServer(uvicorn.Server):
    """A uvicorn server that says where it listens once it does."""

    def __init__(self, settings: Settings, *, log_level: str) -> None:
        self._settings = settings
        self._app = create_app(settings, self._open)
        self._opened: State | None = None
        self.error: BaseException | None = None
        """What kept it from starting."""
        super().__init__(
            uvicorn.Config(
                self._start,
                interface="asgi3",
                host=settings.host,
                port=settings.port,
                log_level=log_level,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=2,
                lifespan="on",
            )
        )

    @contextlib.asynccontextmanager
    async def _open(self) -> AsyncIterator[State]:
        async with open_gateway(self._settings) as state:
            self._opened = state
            yield state

    async def _start(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass calls on; a setting that cannot be used is kept, and is no traceback."""
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        held: list[Message] = []

        async def hold(message: Message) -> None:
            # Starlette says what failed before it raises it; only then it is known what it is.
            if message["type"] == "lifespan.startup.failed":
                held.append(message)
            elif not self.force_exit:
                await send(message)

        try:
            await self._app(scope, receive, hold)
        except SettingsError as error:
            self.error = error
            await send({"type": "lifespan.startup.failed", "message": ""})
        except BaseException as error:
            if self.force_exit:
                return  # whoever leaves at once leaves things as they are
            self.error = error
            for message in held:
                await send(message)
            raise

    @property
    def url(self) -> str:
        """Address of the server; known once started."""
        port = self.servers[0].sockets[0].getsockname()[1]
        host = self._settings.host
        if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
            host = "127.0.0.1"
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and write down the address for commands on this machine."""
        await super().startup(sockets)
        if self.started:
            token = self._settings.token
            announce(
                self._settings.data_dir,
                Address(self.url, token.get_secret_value() if token else None),
            )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the runs, let streams have their ends, then stop as uvicorn does.

        uvicorn closes connections before it tells the application to stop, so the runs, which
        streams wait for, are told here.
        """
        for server in self.servers:
            server.close()
        if self._opened is not None:
            ending = asyncio.create_task(self._end(self._opened))
            while not ending.done() and not self.force_exit:
                await asyncio.wait((ending,), timeout=0.05)
            ending.cancel()
            await asyncio.wait((ending,))
            self._opened["log"].cut_off()
        await super().shutdown(sockets)

    async def _end(self, opened: State) -> None:
        await opened["runs"].aclose()
        opened["log"].let_go()
        if reading := set(self.server_state.tasks):
            await asyncio.wait(reading, timeout=STREAMS_SECONDS)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop on a first signal; leave at once on a second one, whichever it is."""
        again = self.should_exit
        super().handle_exit(sig, frame)
        self.force_exit = self.force_exit or again


def check_port(settings: Settings) -> None:
    """Raise ``SettingsError`` if the address cannot be listened on."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise SettingsError(
                f"Cannot listen on {settings.host} port {settings.port} ({error.strerror}): "
                "stop what uses it, or name another with --port (0 takes a free one)."
            ) from None


class EmbeddedGateway:
    """A gateway of this process alone, on a free loopback port, in a thread of its own.

    Use as a context manager; ``address`` says where it is.
    """

    def __init__(self, settings: Settings) -> None:
        settings = settings.model_copy(
            update={
                "host": "127.0.0.1",
                "port": 0,
                "token": SecretStr(secrets.token_urlsafe(24)),
            }
        )
        assert settings.token is not None  # noqa: S101 - set in the line above
        self._token = settings.token.get_secret_value()
        self._server = GatewayServer(settings, log_level="critical")
        self._thread = threading.Thread(target=self._run, name="gateway", daemon=True)

    def _run(self) -> None:
        try:
            self._server.run()
        except BaseException as error:  # noqa: BLE001 - told to the thread that waits
            # What kept the app from starting says more than the server's exit after it.
            self._server.error = self._server.error or error

    @property
    def address(self) -> Address:
        """Where it can be called."""
        return Address(self._server.url, self._token)

    def __enter__(self) -> Self:
        self._thread.start()
        deadline = time.monotonic() + START_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise self._failure()
            time.sleep(0.02)
        return self

    def _failure(self) -> SettingsError:
        error = self._server.error
        if isinstance(error, SettingsError):
            return error
        if error is None:
            return SettingsError(f"The gateway did not start within {START_SECONDS:.0f} s.")
        return SettingsError(f"The gateway did not start: {type(error).__name__}: {error}")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=30)
