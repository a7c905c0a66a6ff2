"""``experiment``: plan one, carry it out, and see what came of it."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import click

from aideator_gateway.command.cli.options import SERVER_ONLY, json_option, settings_options

EXTRA = ("numpy", "scipy", "choix")
"""What the extra ``experiments`` brings. No other command takes the time to import it."""

FILE = click.argument(
    "file", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path)
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
@settings_options(without=(*SERVER_ONLY, "max_run_cost_usd", "fixed_shares"))
def run_experiment(file: Path, as_json: bool, **flags: Any) -> None:
    """Carry out FILE, or go on with it where it was left.

    Every attempt is made once and paid for once, however often the command is stopped or killed
    meanwhile. What the harness failed is made again, and is no attempt's failure.

    Ctrl-C starts no more runs and waits for those at work, a second one cancels them, a third
    one leaves at once.
    """
    need_extra()
    from aideator_gateway.command.cli import experimenting  # noqa: PLC0415

    sys.exit(experimenting.carry_out(file, flags, as_json=as_json))
