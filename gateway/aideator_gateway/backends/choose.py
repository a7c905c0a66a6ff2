"""Which backend a gateway uses."""

import logging
import os
from collections.abc import Mapping
from dataclasses import replace

from aideator_gateway.backends.broker.host import BrokerHost
from aideator_gateway.backends.commits.commits import Commits
from aideator_gateway.backends.dagger.backend import DaggerBackend
from aideator_gateway.backends.dagger.engine import (
    PROBE_SECONDS,
    RUNNER_HOST,
    Client,
    find_client,
    find_module,
    running_engine,
)
from aideator_gateway.backends.dagger.session import DaggerSession
from aideator_gateway.backends.local.backend import LocalBackend
from aideator_gateway.backends.workdir import WorkDirectory
from aideator_gateway.runs.backend import Backend, BackendError
from aideator_gateway.settings import Settings

logger = logging.getLogger(__name__)


async def choose_backend(
    settings: Settings,
    work: WorkDirectory,
    broker: BrokerHost,
    commits: Commits,
    environ: Mapping[str, str] | None = None,
) -> Backend:
    """Return the backend that the settings name, with its runs' files in ``work``.

    ``commits`` are what they work on, as far as the gateway fetches that itself.

    ``auto`` takes Dagger only where an engine answers within seconds. It looks, and
    downloads, pulls and starts nothing. What it chose, and why, is in the log and in the
    backend's readiness.
    """
    given = os.environ if environ is None else environ
    # Programs of the engine get what is set here.
    environ = {name: text for name, text in given.items() if name not in settings.key_variables}
    if settings.backend == "local":
        return LocalBackend(settings, work, broker, commits)
    if settings.backend == "dagger":
        return DaggerBackend(settings, work, broker, commits, environ)
    try:
        client = await _answering(settings, environ)
    except BackendError as error:
        why = f"chosen by auto: {error.message}"
        return LocalBackend(settings, work, broker, commits, why=why)
    why = "chosen by auto: an engine answers"
    return DaggerBackend(settings, work, broker, commits, client.environment, why=why)


async def _answering(settings: Settings, environ: Mapping[str, str]) -> Client:
    find_module(settings.module)
    client = find_client(environ)
    host = await running_engine(client)
    client = replace(client, environment={**client.environment, RUNNER_HOST: host})
    session = await DaggerSession.open(client.command, client.environment, seconds=PROBE_SECONDS)
    await session.aclose()
    return client
