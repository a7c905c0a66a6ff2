"""``experiment``: plan one, carry it out, and see what came of it."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from aideator_gateway.command.cli.options import SERVER_ONLY, json_option, settings_options

F = TypeVar("F", bound=Callable[..., Any])

EXTRA = ("numpy", "scipy", "choix")
"""What the extra ``experiments`` brings. No other command takes the time to import it."""

FORMATS = ("table", "markdown", "json", "csv", "html")

FILE = click.argument(
    "file", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)

links_option = click.option(
    "--links",
    metavar="URL",
    help="Where the page is that a report's links lead to. "
    "[default: the gateway on the data directory, else http://127.0.0.1:8000]",
)


def need_extra() -> None:
    """Refuse before anything is spent where figures could not be computed in the end."""
    missing = [name for name in EXTRA if importlib.util.find_spec(name) is None]
    if missing:
        raise click.ClickException(
            f"Experiments need more than this install has (there is no {missing[0]}): "
            "pip install 'aideator[experiments]', or uv tool install 'aideator[experiments]'."
        )


@click.group()
def experiment() -> None:
    """Let every condition do every task several times, and see what is more than chance.

    FILE says the tasks, conditions, repeats and the budget; docs/experiments.md has all of it.
    """


@experiment.command()
@FILE
@json_option
@settings_options("data_dir", "model", "config_file")
def plan(file: Path, as_json: bool, **flags: Any) -> None:
    """Say how many attempts FILE makes, what they may cost, and what they can tell.

    Nothing is started. What an attempt costs is known from past runs with the same model.
    """
    need_extra()
    from aideator_gateway.command.cli import experimenting  # noqa: PLC0415

    experimenting.plan(file, flags, as_json=as_json)


@experiment.command("run")
@FILE
@json_option
@click.option(
    "--min-pass-rate",
    "rates",
    multiple=True,
    metavar="[LABEL=]SHARE",
    help="Least share of checks that has to pass, from 0 to 1, of every condition or of one; "
    "else the exit code is 3. May be given several times.",
)
@click.option(
    "--no-worse-than",
    multiple=True,
    metavar="LABEL",
    help="Condition that no other one may be worse than, beyond chance; else the exit code is 3. "
    "May be given several times.",
)
@click.option(
    "--report",
    "reports",
    multiple=True,
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write the report to: .html, .md, .json or .csv. May be given several times.",
)
@links_option
@settings_options(without=(*SERVER_ONLY, "max_run_cost_usd", "fixed_shares"))
def run_experiment(
    file: Path,
    as_json: bool,
    rates: tuple[str, ...],
    no_worse_than: tuple[str, ...],
    reports: tuple[Path, ...],
    links: str | None,
    **flags: Any,
) -> None:
    """Carry out FILE, or go on with it where it was left.

    Every attempt is made once and paid for once, however often the command is stopped or killed
    meanwhile. What the harness failed is made again, and is no attempt's failure.

    Ctrl-C starts no more runs and waits for those at work, a second one cancels them, a third
    one leaves at once.
    """
    need_extra()
    from aideator_gateway.command.cli import experimenting, reporting  # noqa: PLC0415

    wanted = reporting.Wanted(rates, no_worse_than, reports, links)
    sys.exit(experimenting.carry_out(file, flags, wanted, as_json=as_json))


@experiment.command()
@click.argument("name", metavar="FILE|NAME")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default=None,
    help="Form of the report. [default: what --output is called, else table]",
)
@click.option(
    "--output",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write it to, in place of standard output.",
)
@links_option
@settings_options("data_dir", "config_file")
def report(
    name: str, form: str | None, output: Path | None, links: str | None, **flags: Any
) -> None:
    """Say what came of an experiment so far: of FILE as it is now, or of the one called NAME.

    It can be asked for while the experiment goes on. Nothing is started.
    """
    need_extra()
    from aideator_gateway.command.cli import reporting  # noqa: PLC0415

    reporting.report(name, flags, form=form, output=output, links=links)
