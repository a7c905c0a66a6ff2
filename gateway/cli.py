"""The ``aideator`` command."""

import contextlib
import json
import logging
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar, get_args

import click
from rich.console import Console

from aideator.protocol import MAX_VARIATIONS, Status
from gateway import terminal
from gateway.client import ApiError, Client
from gateway.datadir import Address, running_gateway
from gateway.demo.standalone import serve as serve_scripted_model
from gateway.schemas import NewRun, Run, Variation
from gateway.serving import EmbeddedGateway, GatewayServer, check_port
from gateway.settings import Settings, SettingsError

F = TypeVar("F", bound=Callable[..., Any])

DEMO_PROMPT = "Make one small improvement that a newcomer to this repository would notice."

_SERVER_ONLY = ("host", "port", "trusted_host", "allow_origin", "max_concurrent_runs")


def settings_options(*, without: tuple[str, ...] = ()) -> Callable[[F], F]:
    """Give a command one option for each setting that has a flag."""

    def decorate(function: F) -> F:
        for name in reversed(Settings.model_fields):
            if Settings.declared(name)["flag"] and name not in without:
                function = _option(name)(function)
        return function

    return decorate


def _option(name: str) -> Callable[[F], F]:
    field = Settings.model_fields[name]
    flag = "--" + name.replace("_", "-")
    default = field.get_default(call_default_factory=False)
    shown = f" [default: {default}]" if default not in (None, (), False) else ""
    description = (field.description or "") + shown
    if field.annotation is bool:
        return click.option(flag, name, is_flag=True, default=None, help=description)
    kinds = get_args(field.annotation)
    if kinds and all(isinstance(kind, str) for kind in kinds):
        return click.option(flag, name, type=click.Choice(kinds), default=None, help=description)
    if field.annotation == tuple[str, ...]:
        return click.option(flag, name, multiple=True, help=description)
    return click.option(flag, name, default=None, metavar="VALUE", help=description)


@click.group()
@click.version_option(package_name="aideator")
def cli() -> None:
    """Run one prompt on one Git repository in N isolated attempts and keep the best patch."""


@cli.command()
@settings_options()
def serve(**flags: Any) -> None:
    """Serve the HTTP API."""
    settings = Settings.load(flags)
    check_port(settings)
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.INFO, stream=sys.stderr)
    for chatty in ("httpx", "httpx2", "anthropic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    if settings.demo:
        click.echo("The model is a scripted demo, not an LLM: it costs nothing.", err=True)
    server = GatewayServer(settings, log_level="info")
    server.run()
    if not server.started:
        sys.exit(1)


@cli.command("scripted-model")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=4400, show_default=True, help="Port to listen on.")
@click.option("--tokens-per-second", default=25.0, show_default=True, help="Pace of each stream.")
def scripted_model(host: str, port: int, tokens_per_second: float) -> None:
    """Serve the scripted demo model alone: it speaks the Messages API and is no LLM."""
    serve_scripted_model(host, port, tokens_per_second)


@cli.command()
@click.argument("repository")
@click.argument("prompt")
@click.option(
    "-n", "--variations", type=click.IntRange(1, MAX_VARIATIONS), default=3, show_default=True,
    help="Number of variations.",
)  # fmt: skip
@click.option("--ref", help="Branch, tag or full commit id.")
@click.option("--json", "as_json", is_flag=True, help="Print the stream as JSON lines.")
@settings_options(without=_SERVER_ONLY)
def run(
    repository: str, prompt: str, variations: int, ref: str | None, as_json: bool, **flags: Any
) -> None:
    """Follow PROMPT on REPOSITORY live, then see the patches.

    REPOSITORY is a URL, or the path of a repository on this machine, whose HEAD is taken.
    """
    url, local = _repository(repository)
    settings = Settings.load({**flags, "allow_file": local or flags.get("allow_file")})
    request = NewRun(github_url=url, prompt=prompt, variations=variations, ref=ref)
    with _gateway(settings) as address, Client(address) as client:
        ended = _follow(client, request, as_json=as_json, choose=_ask)
    sys.exit(0 if ended.status is Status.COMPLETED else 1)


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print the stream as JSON lines.")
@click.option("-n", "--variations", type=click.IntRange(1, MAX_VARIATIONS), default=3)
@click.option("--data-dir", type=click.Path(path_type=Path), help="Keep the run here.")
def demo(as_json: bool, variations: int, data_dir: Path | None) -> None:
    """Watch three scripted agents work on this repository, and a winner recorded.

    Always scripted and local: it needs no key, no engine and no network, and costs nothing.
    """
    url, _ = _repository(".")
    with contextlib.ExitStack() as stack:
        directory = data_dir or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="aideator-demo-"))
        )
        settings = Settings.load(
            {"demo": True, "backend": "local", "allow_file": True, "data_dir": directory}
        )
        request = NewRun(github_url=url, prompt=DEMO_PROMPT, variations=variations)
        if not as_json:
            click.echo("This is a scripted demo, not an LLM: no key, no cost.\n")
        with EmbeddedGateway(settings) as gateway, Client(gateway.address) as client:
            ended = _follow(client, request, as_json=as_json, choose=_ask_or_first)
    sys.exit(0 if ended.status is Status.COMPLETED else 1)


@contextlib.contextmanager
def _gateway(settings: Settings) -> Iterator[Address]:
    """Give a gateway on the data directory: the one that runs, else one of our own."""
    running = running_gateway(settings.data_dir)
    if running is not None:
        yield running
        return
    with EmbeddedGateway(settings) as gateway:
        yield gateway.address


def _repository(argument: str) -> tuple[str, bool]:
    """Return a URL for the argument, and whether it is on this machine."""
    if "://" in argument or not Path(argument).exists():
        return argument, False
    try:
        top = subprocess.run(
            ["git", "-C", argument, "rev-parse", "--show-toplevel"],
            capture_output=True, text=True, check=True,
        ).stdout.strip()  # fmt: skip
        changed = subprocess.run(
            ["git", "-C", argument, "status", "--porcelain"],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
    except FileNotFoundError:
        raise click.ClickException("git is missing: install it.") from None
    except subprocess.CalledProcessError:
        raise click.ClickException(f"{argument} is not a Git repository.") from None
    if changed:
        click.echo("Note: uncommitted changes are not part of the run, which takes HEAD.", err=True)
    return Path(top).as_uri(), True


def _follow(
    client: Client,
    request: NewRun,
    *,
    as_json: bool,
    choose: Callable[[list[Variation]], int | None],
) -> Run:
    run_id = client.create(request)
    console = Console(highlight=False)
    try:
        if as_json:
            for name, data in client.stream(run_id):
                click.echo(json.dumps({"event": name, **data}))
        else:
            _watch(client, run_id, console)
    except KeyboardInterrupt:
        click.echo("\nCancelling the run …", err=True)
        client.cancel(run_id)
    ended = client.run(run_id)
    completed = [v for v in ended.variations if v.status is Status.COMPLETED]
    if not as_json:
        for variation in completed:
            terminal.show_patch(console, variation, client.patch(run_id, variation.variation_id))
        console.print()
        if ended.message:
            console.print(f"The run {ended.status}: {terminal.printable(ended.message)}")
    if completed and (winner := choose(completed)):
        client.select(run_id, winner)
        ended = client.run(run_id)
        click.echo(f"Winner: variation {winner}, recorded for {run_id}.", err=as_json)
    if as_json:
        click.echo(json.dumps({"event": "run", **ended.model_dump(mode="json")}))
    return ended


def _watch(client: Client, run_id: str, console: Console) -> None:
    started = client.run(run_id)
    console.print(f"{run_id}: {len(started.variations)} variations of {started.github_url}")
    lines = terminal.LiveLines(
        console, {v.variation_id: terminal.label(v) for v in started.variations}
    )
    told = False
    for name, data in client.stream(run_id):
        if not told:
            told = True
            now = client.run(run_id)
            scripted = " (scripted demo, not an LLM)" if now.scripted else ""
            console.print(
                f"isolation: {now.isolation or 'none yet'}; model: {now.model}{scripted}",
                style="dim",
            )
        lines.show(name, data)


def _ask(completed: list[Variation]) -> int | None:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return None
    numbers = [str(v.variation_id) for v in completed]
    answer = click.prompt(
        "Which variation wins? (Enter for none)",
        type=click.Choice([*numbers, ""]), default="", show_choices=True, show_default=False,
    )  # fmt: skip
    return int(answer) if answer else None


def _ask_or_first(completed: list[Variation]) -> int | None:
    if sys.stdin.isatty() and sys.stdout.isatty():
        return _ask(completed)
    smallest = min(completed, key=lambda v: (v.patch.bytes if v.patch else 0, v.variation_id))
    click.echo(
        f"Nobody is there to ask, so the demo picks the smallest patch: "
        f"variation {smallest.variation_id}.",
        err=True,
    )
    return smallest.variation_id


def main() -> None:
    """Run the command; an error is one line."""
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (SettingsError, ApiError) as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)
