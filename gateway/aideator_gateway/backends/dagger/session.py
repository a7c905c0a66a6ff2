"""One session with a Dagger engine: the client's process, and queries over its loopback port.

The Dagger command holds the session (``dagger session``), as it does for every SDK: it finds
the engine by its own settings, local or remote, and goes when this process goes. The
generated client of the Python SDK lacks the types of modules that are loaded at run time,
so queries are written out and sent with an ordinary HTTP client.
"""

import asyncio
import contextlib
import json
import logging
import re
from collections.abc import Mapping
from typing import Any, Self

import httpx

from aideator.protocol import ErrorCode
from aideator.protocol.errors import engine_words
from aideator_gateway.backends.children import kill_group, start
from aideator_gateway.runs.backend import BackendError
from aideator_gateway.waiting import unless

logger = logging.getLogger(__name__)

PING_SECONDS = 5.0
ANSWER_SECONDS = 30.0
"""How long a trivial query may take before the engine counts as lost; a busy one is slow."""

CLOSE_SECONDS = 5.0

_TAIL = 8000


class QueryError(Exception):
    """The engine or the module says why a query failed.

    Attributes
    ----------
    code
        The module's own word for it, if it had one.
    """

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


class EngineLostError(Exception):
    """The engine, or the client's process that holds the session, does not answer any more."""


class DaggerSession:
    """An open session.

    Parameters
    ----------
    process
        The client's process; it ends when its standard input does.
    http
        Speaks to the session's port.
    tail
        Reads the process's messages and keeps the last of them.
    """

    def __init__(
        self, process: asyncio.subprocess.Process, http: httpx.AsyncClient, tail: "_Tail"
    ) -> None:
        self._process = process
        self._http = http
        self._tail = tail
        self._watch = asyncio.create_task(self._watching(), name="engine watch")
        self.lost = asyncio.Event()
        """Set once the engine does not answer any more."""

    @classmethod
    async def open(cls, cli: str, environment: Mapping[str, str], *, seconds: float) -> Self:
        """Start a session with the engine that the client's settings name.

        Parameters
        ----------
        cli
            The ``dagger`` command.
        environment
            The whole environment of the client's process.
        seconds
            How long it may take.

        Raises
        ------
        BackendError
            With ``engine_unavailable`` and the client's own words.
        """
        try:
            process = await start(
                cli, "--silent", "session", "--label", "dagger.io/sdk.name:aideator",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=environment,
            )  # fmt: skip
        except OSError as error:
            raise _unavailable(f"{cli} cannot be started: {error.strerror}") from None
        assert process.stdout and process.stderr  # noqa: S101 - both are pipes
        tail = _Tail(process.stderr)
        try:
            async with asyncio.timeout(seconds):
                connection = await _port(process.stdout, tail)
            http = httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{connection['port']}",
                auth=(connection["session_token"], ""),
                # A query takes as long as a run does.
                timeout=httpx.Timeout(None, connect=10),
                limits=httpx.Limits(max_connections=None),
                trust_env=False,
            )
        except BaseException as error:
            # A client that looks for an engine does not look at its standard input.
            await _end(process, seconds=0.2)
            await tail.aclose()
            if isinstance(error, TimeoutError):
                said = f" ({tail.last})" if tail.last else ""
                raise _unavailable(f"no engine answered within {seconds:.0f} s{said}") from None
            raise
        return cls(process, http, tail)

    async def query(self, text: str, variables: Mapping[str, Any] | None = None) -> Any:
        """Return the data that a GraphQL query asks for.

        Cancelling the call stops what the query has started, within a second.

        Raises
        ------
        QueryError
            The engine or the module says why it failed.
        EngineLostError
            Nobody answers any more.
        """
        body = {"query": text, "variables": dict(variables or {})}
        try:
            answer = await unless(self.lost, self._http.post("/query", json=body))
            if answer is None:
                raise EngineLostError("it does not answer")
            content = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise EngineLostError(f"{type(error).__name__} {error}".strip()) from None
        if errors := content.get("errors"):
            code = (errors[0].get("extensions") or {}).get("extra.code")
            raise QueryError(engine_words(str(errors[0].get("message", ""))), code)
        if content.get("data") is None:
            raise EngineLostError(f"the session answered {answer.status_code}")
        return content["data"]

    async def aclose(self) -> None:
        """End the session; a client that hangs is killed."""
        self._watch.cancel()
        await asyncio.wait([self._watch])
        await self._http.aclose()
        await _end(self._process)
        await self._tail.aclose()

    async def alive(self) -> bool:
        """Whether the engine answers; if it does not, the session is lost."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self.query("{version}")
        except (QueryError, EngineLostError, TimeoutError) as error:
            logger.debug("the engine does not answer: %s", error)
            self.lost.set()
        return not self.lost.is_set()

    async def wait_lost(self, seconds: float) -> None:
        """Wait until the session is lost, but not for longer than ``seconds``."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.lost.wait()

    async def _watching(self) -> None:
        while await self.alive():  # noqa: ASYNC110 - nothing tells when an engine dies
            await asyncio.sleep(PING_SECONDS)


class _Tail:
    """The last words of a process."""

    def __init__(self, stream: asyncio.StreamReader) -> None:
        self._kept = b""
        self._reading = asyncio.create_task(self._read(stream))

    @property
    def last(self) -> str:
        """The last line that says something, without colours."""
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self._kept.decode(errors="replace"))
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        said = next((line for line in lines if line.startswith("Error:")), "")
        return said.removeprefix("Error:").strip() or (lines[-1] if lines else "")

    async def ended(self) -> None:
        """Wait until the process has said all."""
        await asyncio.wait([self._reading], timeout=1)

    async def aclose(self) -> None:
        self._reading.cancel()
        await asyncio.wait([self._reading])

    async def _read(self, stream: asyncio.StreamReader) -> None:
        while chunk := await stream.read(65536):
            self._kept = (self._kept + chunk)[-_TAIL:]


async def _port(stdout: asyncio.StreamReader, tail: _Tail) -> dict[str, Any]:
    """Return the port and token that the client prints once it has a session."""
    line = await stdout.readline()
    if not line:
        await tail.ended()
        raise _unavailable(tail.last or "the dagger command ended without a word")
    connection: dict[str, Any] = json.loads(line)
    return connection


async def _end(process: asyncio.subprocess.Process, *, seconds: float = CLOSE_SECONDS) -> None:
    if process.stdin:
        process.stdin.close()
    try:
        async with asyncio.timeout(seconds):
            await process.wait()
    except TimeoutError:
        kill_group(process)
        await process.wait()


def _unavailable(reason: str) -> BackendError:
    return BackendError(ErrorCode.ENGINE_UNAVAILABLE, f"There is no Dagger engine: {reason}.")
