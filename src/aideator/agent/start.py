"""Read the task and run the attempt; importing this module is what takes time at start."""

import argparse
import asyncio
import logging
import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from aideator.agent.attempt import Attempt, Surroundings
from aideator.agent.emitter import Emitter
from aideator.agent.report import Report
from aideator.agent.sandbox import limit_resources
from aideator.agent.stop import Stop, nothing
from aideator.agent.timing import Timing
from aideator.protocol.errors import ErrorCode
from aideator.protocol.findings import findings
from aideator.protocol.secrets import Secrets
from aideator.protocol.task import Task


def start(
    arguments: argparse.Namespace,
    secrets: Mapping[str, str],
    emitter: Emitter,
    report: Report,
    stop: Stop,
) -> None:
    """Run one attempt to its ending, under this process's own limits.

    Parameters
    ----------
    arguments
        The program's arguments.
    secrets
        ``ANTHROPIC_API_KEY`` or ``ANTHROPIC_AUTH_TOKEN``, where they were given.
    report
        Takes the patch and the ending.
    stop
        Makes the attempt stop, when asked to.
    """
    # It warns of children that it reaped itself, when git is stopped just as it starts.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    try:
        limit_resources(os.environ)
        attempt = prepare(arguments, secrets, os.environ, emitter, report, stop)
    except (OSError, ValueError) as error:
        stop.becomes(nothing)
        report.failed(ErrorCode.INVALID_REQUEST.value, _explained(error))
        return
    # Not closed: that would wait for threads, of which one may still be looking up the
    # server's name long after the attempt was asked to stop. The program ends here.
    asyncio.Runner().run(attempt.run())


def prepare(
    arguments: argparse.Namespace,
    secrets: Mapping[str, str],
    environment: Mapping[str, str],
    emitter: Emitter,
    report: Report,
    stop: Stop,
) -> Attempt:
    """Read the task and return the attempt at it; parameters as for ``start``.

    Raises
    ------
    OSError
        The task cannot be read.
    ValueError
        It is not valid, or a variable in the environment is not.
    """
    hidden = Secrets(secrets.values())
    emitter.hide = hidden.hidden_in
    socket = environment.get("AIDEATOR_MODEL_SOCKET")
    surroundings = Surroundings(
        workspace=arguments.workspace,
        git_dir=arguments.git_dir.resolve(),
        index=arguments.index,
        api_key=secrets.get("ANTHROPIC_API_KEY"),
        auth_token=secrets.get("ANTHROPIC_AUTH_TOKEN"),
        secrets=hidden,
        model_socket=Path(socket) if socket else None,
        headers={
            "x-aideator-run": environment.get("AIDEATOR_RUN_ID", ""),
            "x-aideator-variation": environment.get("AIDEATOR_VARIATION_ID", ""),
        },
    )
    timing = Timing.from_environment(environment)
    task = Task.model_validate_json(arguments.task.read_bytes())
    return Attempt(task, surroundings, emitter, timing, report, stop)


def _explained(error: OSError | ValueError) -> str:
    if isinstance(error, ValidationError):
        return f"The task is not valid: {'; '.join(map(str, findings(error, Task)))}"
    return str(error)
