"""One broker: a child process that is given keys on its standard input, and nowhere else."""

import asyncio
import json
import logging
import os
import socket
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Self

from aideator.protocol import Secrets
from aideator_gateway.backends.children import kill_group, start
from aideator_gateway.backends.git import network_environment

logger = logging.getLogger(__name__)

_MAX_LINE_BYTES = 1024 * 1024

_CLOUDS = {"bedrock": ("AWS_",), "vertex": ("GOOGLE_", "CLOUDSDK_")}
"""What the variables start with by which a cloud's own client finds who it is."""

Take = Callable[[dict[str, Any]], None]


class BrokerProcess:
    """A broker that has been started; made by ``start``."""

    def __init__(self, process: asyncio.subprocess.Process, take: Take, secrets: Secrets) -> None:
        assert process.stdout and process.stderr  # noqa: S101 - they are pipes
        self._process = process
        self._secrets = secrets
        self._last_line = ""
        self._readers = (
            asyncio.create_task(self._read(process.stdout, take)),
            asyncio.create_task(self._read_log(process.stderr)),
        )

    @classmethod
    async def start(
        cls,
        listeners: Sequence[socket.socket],
        config: Mapping[str, Any],
        take: Take,
        secrets: Secrets,
        clouds: Collection[str] = (),
    ) -> Self:
        """Start a broker on sockets that listen already.

        Parameters
        ----------
        config
            As ``aideator.protocol.broker`` has it, as JSON.
        take
            Called with each object that the broker says.
        secrets
            Kept out of the log.
        clouds
            Kinds of the providers that are asked: each finds credentials in its own way.
        """
        prefixes = tuple(prefix for kind in clouds for prefix in _CLOUDS.get(kind, ()))
        credentials = {n: text for n, text in os.environ.items() if n.startswith(prefixes)}
        if prefixes and "HOME" in os.environ:
            credentials["HOME"] = os.environ["HOME"]
        descriptors = [listener.fileno() for listener in listeners]
        process = await start(
            sys.executable, "-I", "-m", "aideator.broker", "--watch-stdin",
            *(word for number in descriptors for word in ("--fd", str(number))),
            pass_fds=descriptors,
            # Where the network is, and no setting or key of the gateway's own; a cloud's are.
            env={**network_environment(os.environ), **credentials},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=_MAX_LINE_BYTES,
        )  # fmt: skip
        broker = cls(process, take, secrets)
        broker.tell(config)
        return broker

    def tell(self, message: Mapping[str, Any]) -> None:
        """Send a line; the broker may have died."""
        stdin = self._process.stdin
        if stdin is not None and not stdin.is_closing():
            stdin.write(json.dumps(message).encode() + b"\n")

    async def wait(self) -> str:
        """Wait until it has died, and return how."""
        await asyncio.wait(self._readers)
        code = await self._process.wait()
        how = f"was killed by signal {-code}" if code < 0 else f"exited with status {code}"
        return f"{how}: {self._last_line}" if self._last_line else how

    async def aclose(self) -> None:
        """End it at once: it writes nothing that could be lost."""
        kill_group(self._process)
        await self._process.wait()
        await asyncio.wait(self._readers)

    async def _read(self, stream: asyncio.StreamReader, take: Take) -> None:
        async for line in stream:
            take(json.loads(line))

    async def _read_log(self, stream: asyncio.StreamReader) -> None:
        while line := await stream.readline():
            text = self._secrets.hidden_in(line.decode(errors="replace")).rstrip()
            self._last_line = text.removeprefix("broker: ") or self._last_line
            logger.info("%s", text)
