"""The gateway that a command talks to: the one that serves, else one of its own.

A command never depends on the gateway of another command, which ends when that one does.
"""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import click

from aideator_gateway.command.cli.output import Notes, say
from aideator_gateway.command.client import Client
from aideator_gateway.command.datadir import Address, running_gateway
from aideator_gateway.command.fit import differences
from aideator_gateway.command.gateways import living, serving
from aideator_gateway.runs.problems import StartError
from aideator_gateway.settings import Settings


class LeftAtOnce(BaseException):
    """Ctrl-C, a second time: nothing is waited for. What to say, if it is not the usual."""


@contextlib.contextmanager
def for_runs(settings: Settings, flags: Mapping[str, Any]) -> Iterator[Client]:
    """Give a client of a gateway that can start runs with these settings.

    Parameters
    ----------
    settings
        Of the command. A gateway that serves the data directory is used if they fit it.
    flags
        Those given to the command.
    """
    address = _serving_with(settings, flags)
    if address is not None:
        with Client(address) as client:
            yield client
        return
    _log(logging.WARNING)
    with embedded(settings) as address, Client(address) as client:
        yield client


def _serving_with(settings: Settings, flags: Mapping[str, Any]) -> Address | None:
    """Return where a gateway serves that these settings fit; say so if one does not."""
    address = running_gateway(settings.data_dir)
    if address is None:
        return None
    _, sources = Settings.gather(flags, os.environ)
    instance = serving(settings.data_dir)
    with Client(address) as client:
        ready = client.readiness()
    if instance is None:
        why = "is of an earlier version"
    elif found := differences(settings, sources, flags, instance.settings, ready):
        why = f"was started with other settings ({', '.join(found)})"
    else:
        return address
    say(
        f"Note: the gateway at {address.url} {why}, so this run has a gateway of its own.", err=True
    )
    return None


@contextlib.contextmanager
def for_reading(settings: Settings) -> Iterator[Client]:
    """Give a client of a gateway that knows the runs of the data directory."""
    running = running_gateway(settings.data_dir)
    if running is not None:
        with Client(running) as client:
            yield client
        return
    _log(logging.ERROR)
    # No run is started, so no engine need be looked for.
    local = settings.model_copy(update={"backend": "local", "demo": False})
    with embedded(local) as address, Client(address) as client:
        yield client


@contextlib.contextmanager
def beside_runs(settings: Settings) -> Iterator[Client]:
    """Give a client of a gateway that reaches the runs which go on in the data directory.

    Raises
    ------
    StartError
        If no gateway works there, so that no run can.
    """
    if running_gateway(settings.data_dir) is None and not living(settings.data_dir):
        raise StartError(
            f"No gateway runs on the data directory {settings.data_dir}, so no run does: "
            "name the directory of the one you mean with --data-dir."
        )
    with for_reading(settings) as client:
        yield client


@contextlib.contextmanager
def embedded(settings: Settings) -> Iterator[Address]:
    """Run a gateway in this process for as long as the block takes.

    Raises
    ------
    StartError
        If the data directory cannot be used.
    """
    with contextlib.ExitStack() as stack:
        status = click.style(f"Starting ({settings.backend}) …", dim=True)
        with _shown_while(status):
            # Half a second of imports, which commands with a gateway to talk to do without.
            from aideator_gateway.command.serving import EmbeddedGateway  # noqa: PLC0415

            gateway = stack.enter_context(EmbeddedGateway(settings))
        try:
            yield gateway.address
        except LeftAtOnce:
            stack.pop_all()  # its thread ends with the process
            raise


@contextlib.contextmanager
def _shown_while(text: str) -> Iterator[None]:
    if not sys.stderr.isatty():
        yield
        return
    click.echo(text, nl=False, err=True)
    try:
        yield
    finally:
        click.echo("\r\x1b[K", nl=False, err=True)


def _log(level: int) -> None:
    # On a terminal a note takes the line that says what is being waited for.
    line = "\r\x1b[K" if sys.stderr.isatty() else ""
    notes = logging.StreamHandler(sys.stderr)
    notes.setFormatter(Notes("Note: %(message)s", line))
    logging.basicConfig(level=level, handlers=[notes])
