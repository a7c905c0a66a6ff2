"""``config`` and ``completion``: what is in force, and help for the shell."""

import os
from typing import Any
from urllib.parse import urlsplit

import click
from click.shell_completion import get_completion_class
from pydantic import SecretStr
from rich.table import Table
from rich.text import Text

from aideator_gateway.command.cli.options import json_option, settings_options
from aideator_gateway.command.cli.output import console, say, say_json
from aideator_gateway.command.datadir import running_gateway
from aideator_gateway.printable import printable
from aideator_gateway.providers import NamedProvider
from aideator_gateway.settings import Settings

HIDDEN = "set (hidden)"


@click.command()
@json_option
@settings_options()
def config(as_json: bool, **flags: Any) -> None:
    """Print every setting in force, and where it comes from.

    Give it the flags of another command to see what they change. Secrets are not shown.
    """
    settings = Settings.load(flags)
    _, sources = Settings.gather(flags, os.environ)
    found = {
        name: {"value": _value(getattr(settings, name)), "source": sources.get(name, "default")}
        for name in Settings.model_fields
    }
    providers = {name: _provider(one) for name, one in settings.providers.items()}
    running = running_gateway(settings.data_dir)
    if as_json:
        url = running.url if running else None
        say_json({"settings": found, "providers": providers, "running_gateway": url})
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("setting", "value", "from"):
        table.add_column(title, overflow="fold")
    for name, entry in found.items():
        source = str(entry["source"])
        table.add_row(
            name, Text(printable(_shown(entry["value"]))), source,
            style="dim" if source == "default" else None,
        )  # fmt: skip
    for name, provider in providers.items():
        said = (f"{key} {value}" for key, value in provider.items() if value is not None)
        text = Text(printable(", ".join(said)))
        table.add_row(f"providers.{name}", text, str(settings.providers_file))
    console().print(table)
    if running:
        say(
            f"A gateway runs on this data directory at {running.url}, with the settings that it "
            "was started with.",
            err=True,
        )


def _provider(provider: NamedProvider) -> dict[str, str | None]:
    """Return a model server as it is set, and what is wrong with its key."""
    given = provider.table.model_dump(mode="json", exclude={"prices"}, exclude_none=True)
    texts = {name: _without_password(str(value)) for name, value in given.items()}
    return {**texts, "problem": provider.problem}


def _value(value: Any) -> Any:
    match value:
        case None | bool() | int() | float():
            return value
        case SecretStr():
            return HIDDEN
        case tuple():
            return list(value)
    return _without_password(str(value))


def _without_password(text: str) -> str:
    if "://" not in text:
        return text
    found = urlsplit(text)
    return (
        text
        if "@" not in found.netloc
        else text.replace(found.netloc, f"***@{found.netloc.rpartition('@')[2]}")
    )


def _shown(value: Any) -> str:
    match value:
        case None:
            return "not set"
        case bool():
            return "on" if value else "off"
        case list():
            return ", ".join(value) or "none"
    return str(value)


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what makes a shell complete this command's words.

    \b
    bash:  eval "$(aideator completion bash)"           in ~/.bashrc
    zsh:   eval "$(aideator completion zsh)"            in ~/.zshrc
    fish:  aideator completion fish | source            in ~/.config/fish/config.fish
    """  # noqa: D301 - click's mark is the character, not the escape
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 - one of click's own
    click.echo(kind(context.find_root().command, {}, "aideator", "_AIDEATOR_COMPLETE").source())
