"""Where the Dagger engine, its client and the module are; nothing here starts an engine."""

import asyncio
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from aideator.protocol import ErrorCode
from aideator_gateway.backends.children import run
from aideator_gateway.runs.backend import BackendError
from aideator_gateway.settings import without_ours

RUNNER_HOST = "_EXPERIMENTAL_DAGGER_RUNNER_HOST"
CLI_BIN = "_EXPERIMENTAL_DAGGER_CLI_BIN"

PROBE_SECONDS = 5.0

_SESSION = "DAGGER_SESSION_"
"""How the variables of a session start that the gateway itself may run in."""


@dataclass(frozen=True)
class Client:
    """The ``dagger`` command, and the environment it is started with."""

    command: str
    environment: Mapping[str, str] = field(repr=False)

    @property
    def runner_host(self) -> str | None:
        """The engine that the environment names, if it does."""
        return self.environment.get(RUNNER_HOST) or None


def find_client(environ: Mapping[str, str]) -> Client:
    """Return the client that the environment names or has on PATH.

    Raises
    ------
    BackendError
        If there is none; the gateway never downloads one.
    """
    command = environ.get(CLI_BIN) or shutil.which("dagger", path=environ.get("PATH"))
    if command is None:
        raise _unavailable("the dagger command is not on PATH")
    kept = without_ours(environ).items()
    return Client(command, {name: text for name, text in kept if not name.startswith(_SESSION)})


async def check_reachable(host: str) -> None:
    """Raise ``BackendError`` if nothing listens at a ``unix://`` or ``tcp://`` address.

    The client itself goes on trying for minutes. Other kinds of address are its own.
    """
    parts = urlsplit(host)
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            if parts.scheme == "unix":
                _, writer = await asyncio.open_unix_connection(parts.path)
            elif parts.scheme == "tcp" and parts.port:
                _, writer = await asyncio.open_connection(parts.hostname, parts.port)
            else:
                return
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error) or "no answer"
        raise _unavailable(f"nothing answers at {host} ({reason}), set by {RUNNER_HOST}") from None
    writer.close()


async def running_engine(client: Client) -> str:
    """Return the address of an engine that runs already, without starting anything.

    Raises
    ------
    BackendError
        If none is known: the environment names none, and no container of this client's
        version runs in Docker.
    """
    if host := client.runner_host:
        if urlsplit(host).scheme.endswith("image"):
            raise _unavailable(f"{host} names an image, which would have to be started")
        await check_reachable(host)
        return host
    version = re.search(r"v\d+\.\d+\.\d+\S*", await _output(client, client.command, "version"))
    names = (await _output(client, "docker", "ps", "--format", "{{.Names}}")).split()
    name = f"dagger-engine-{version[0]}" if version else ""
    if name not in names:
        raise _unavailable("none runs, as far as can be seen without starting one")
    return f"docker-container://{name}"


async def _output(client: Client, *command: str) -> str:
    try:
        ended = await run(*command, environment=client.environment, seconds=PROBE_SECONDS)
    except OSError:
        return ""
    return ended.stdout.decode(errors="replace")


def find_module(setting: str | None) -> str:
    """Return where the Dagger module is: as set, else the repository this gateway runs from.

    Raises
    ------
    BackendError
        If the gateway was installed without its repository and nothing is set.
    """
    if setting:
        # The client would read a relative path from the engine session's own directory.
        return str(Path(setting).resolve()) if Path(setting).is_dir() else setting
    repository = Path(os.path.abspath(__file__)).parents[4]  # noqa: PTH100 - keeps links
    if (repository / "dagger.json").is_file():
        return str(repository)
    raise _unavailable(
        "the Dagger module is not installed with the gateway; set AIDEATOR_MODULE to the path "
        "or git address of AIdeator's repository"
    )


def _unavailable(reason: str) -> BackendError:
    return BackendError(ErrorCode.ENGINE_UNAVAILABLE, f"No Dagger engine: {reason}.")
