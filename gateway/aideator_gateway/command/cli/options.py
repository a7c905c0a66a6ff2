"""Options that come from one table: settings from ``Settings``, limits from ``Limits``."""

from collections.abc import Callable
from typing import Any, TypeVar, get_args

import click
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from aideator.protocol import Limits
from aideator.protocol.findings import findings
from aideator_gateway.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])

SERVER_ONLY = (
    "host", "port", "trusted_host", "allow_origin", "max_concurrent_runs", "max_pending_runs",
    "max_pending_bytes", "max_downloads", "max_connections", "keep_alive_seconds",
    "header_seconds", "body_seconds", "send_seconds", "ceiling_run_cost_usd", "ceiling_turns",
    "ceiling_tokens", "ceiling_seconds", "ceiling_retries", "keep_days", "keep_bytes",
    "log_format", "log_level",
)  # fmt: skip
"""Settings that mean nothing to a command that runs once."""

LIMITS = tuple(name for name in Limits.model_fields if name not in Settings.model_fields)

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON, and nothing else, on standard output."
)


def flag(name: str) -> str:
    """Return the flag of a setting or a limit."""
    return "--" + name.replace("_", "-")


def settings_options(*names: str, without: tuple[str, ...] = ()) -> Callable[[F], F]:
    """Give a command an option for each setting that has a flag, or for those named."""
    wanted = names or tuple(Settings.model_fields)

    def decorate(function: F) -> F:
        for name in reversed(wanted):
            if Settings.declared(name)["flag"] and name not in without:
                function = _setting_option(name)(function)
        return function

    return decorate


def _setting_option(name: str) -> Callable[[F], F]:
    field = Settings.model_fields[name]
    default = field.get_default(call_default_factory=False)
    description = _described(field, default if default not in ((), False) else None)
    if field.annotation is bool:
        return click.option(flag(name), name, is_flag=True, default=None, help=description)
    kinds = get_args(field.annotation)
    if kinds and all(isinstance(kind, str) for kind in kinds):
        return click.option(
            flag(name), name, type=click.Choice(kinds), default=None, help=description
        )
    if field.annotation == tuple[str, ...]:
        return click.option(flag(name), name, multiple=True, metavar="VALUE", help=description)
    return click.option(flag(name), name, default=None, metavar="VALUE", help=description)


def limits_options(function: F) -> F:
    """Give a command an option for each limit of a variation."""
    for name in reversed(LIMITS):
        field = Limits.model_fields[name]
        kinds = [field.annotation, *get_args(field.annotation)]
        kind = click.INT if int in kinds else click.FLOAT
        function = click.option(
            flag(name), name, type=kind, default=None, metavar="NUMBER",
            help=_described(field, field.default),
        )(function)  # fmt: skip
    return function


def _described(field: FieldInfo, default: object) -> str:
    known = default is not None and not field.is_required() and field.default_factory is None
    shown = f" [default: {default}]" if known else ""
    return f"{field.description or ''}{shown}"


def limits(flags: dict[str, Any]) -> Limits | None:
    """Return the limits that were given, and take them out of ``flags``.

    Raises
    ------
    click.BadParameter
        If one is out of its range.
    """
    given = {name: value for name in LIMITS if (value := flags.pop(name)) is not None}
    if flags.get("max_run_cost_usd") is not None:
        # Said at the shell it holds for this run, whoever's gateway carries it out.
        given["max_run_cost_usd"] = flags["max_run_cost_usd"]
    try:
        # A setting is a text until the settings are read.
        texts = {name: str(value) for name, value in given.items()}
        return Limits.model_validate_strings(texts) if given else None
    except ValidationError as error:
        found = findings(error, Limits)[0]
        raise click.BadParameter(found.message, param_hint=flag(found.field)) from None
