"""The gateway that a command talks to: the one that runs, else one of its own."""

import contextlib
import logging
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import click

from aideator_gateway.command.cli.options import flag
from aideator_gateway.command.cli.output import Notes, say
from aideator_gateway.command.client import Client
from aideator_gateway.command.datadir import Address, running_gateway
from aideator_gateway.runs.model import Readiness
from aideator_gateway.settings import Settings, SettingsError

_BY_REQUEST = ("model", "max_run_cost_usd", "data_dir", "allow_file", "allow_host")
"""Flags that a gateway which already runs is told with the request, or answers for itself."""


class LeftAtOnce(BaseException):
    """Ctrl-C, a second time: nothing is waited for. What to say, if it is not the usual."""


@contextlib.contextmanager
def for_runs(settings: Settings, flags: Mapping[str, Any]) -> Iterator[Client]:
    """Give a client of a gateway that can start runs with these settings.

    Parameters
    ----------
    settings
        What the gateway is started with, if none runs on the data directory.
    flags
        Those given to the command. One that a running gateway cannot follow is an error.
    """
    running = running_gateway(settings.data_dir)
    if running is not None:
        with Client(running) as client:
            _check_settings(client.readiness(), settings, flags)
            yield client
        return
    _log(logging.WARNING)
    with embedded(settings) as address, Client(address) as client:
        yield client
        _wait_for_others(client)


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
    told = settings.model_copy(update={"backend": "local", "demo": False})
    with embedded(told) as address, Client(address) as client:
        yield client


@contextlib.contextmanager
def running(settings: Settings) -> Iterator[Client]:
    """Give a client of the gateway that runs on the data directory.

    Raises
    ------
    SettingsError
        If none runs.
    """
    address = running_gateway(settings.data_dir)
    if address is None:
        raise SettingsError(
            f"No gateway runs on the data directory {settings.data_dir}, so no run does: "
            "name the directory of the one you mean with --data-dir."
        )
    with Client(address) as client:
        yield client


@contextlib.contextmanager
def embedded(settings: Settings) -> Iterator[Address]:
    """Run a gateway in this process for as long as the block takes.

    Raises
    ------
    SettingsError
        If the data directory cannot be used, or another gateway has it.
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


def _check_settings(ready: Readiness, settings: Settings, flags: Mapping[str, Any]) -> None:
    given = [name for name, value in flags.items() if value not in (None, ())]
    cannot = []
    # A demo that is not one would cost money, so here the variable counts as well.
    if settings.demo and not ready.scripted:
        cannot.append("--demo")
    if "backend" in given and settings.backend not in ("auto", ready.backend):
        cannot.append("--backend")
    cannot += [
        flag(name)
        for name in given
        if name not in ("demo", "backend", *_BY_REQUEST)
        # Nothing to pace where the model is not the scripted one.
        and not (name == "demo_tokens_per_second" and ready.scripted is False)
    ]
    if cannot:
        raise SettingsError(
            f"A gateway runs on the data directory {settings.data_dir} and was started without "
            f"{' and '.join(cannot)}: leave that out, stop the gateway, or name another "
            "directory with --data-dir."
        )


def _wait_for_others(client: Client) -> None:
    """Wait for runs that other commands started here; they would end with this process."""
    others = [run for run in client.runs(50) if not run.status.ended]
    for run in others:
        say(
            f"Waiting for {run.run_id}, which another command started on this gateway "
            "(Ctrl-C interrupts it).",
            err=True,
        )
        for _ in client.stream(run.run_id):
            pass
