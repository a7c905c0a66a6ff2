"""``export``: what was found out, for other programs."""

from pathlib import Path
from typing import Any

import click

from aideator_gateway.command.cli.options import settings_options


@click.group()
def export() -> None:
    """Give what was found out to other programs."""


@export.command()
@click.argument("sources", nargs=-1, required=True, metavar="EXPERIMENT|RUN...")
@click.option(
    "--from-checks", is_flag=True,
    help="Also prefer each attempt that passed its check to each that failed at the same task.",
)  # fmt: skip
@click.option(
    "--unpaired", is_flag=True,
    help="One attempt a record, with whether it passed its check, in place of pairs.",
)  # fmt: skip
@click.option(
    "--without-files", is_flag=True,
    help="Leave out what is in files: what tools answered, and what edits write.",
)  # fmt: skip
@click.option("--with-thinking", is_flag=True, help="Keep what the model thought.")
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="File to write, in place of standard output.",
)  # fmt: skip
@settings_options("data_dir")
def preferences(sources: tuple[str, ...], **options: Any) -> None:
    """Write which attempts were preferred as JSON lines that TRL's trainers read.

    Preferences are people's judgments of an experiment's attempts, and the winners recorded for
    runs, over the other attempts that completed. EXPERIMENT is a name or a file, RUN is as for
    show. docs/preferences.md has the format.
    """
    from aideator_gateway.command.cli import exporting  # noqa: PLC0415

    exporting.preferences(sources, **options)
