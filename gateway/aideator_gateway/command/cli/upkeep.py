"""``prune``, ``backup`` and ``compact``: what keeps a database in shape, also while it is used."""

import asyncio
from pathlib import Path
from typing import Any

import click

from aideator_gateway.command.cli.options import settings_options
from aideator_gateway.command.cli.output import say
from aideator_gateway.settings import Settings


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@settings_options("data_dir", "keep_days", "keep_bytes")
def prune(dry_run: bool, **flags: Any) -> None:
    """Remove old runs with their logs and patches, for good.

    Only runs that have ended, the oldest first: those that ended more than --keep-days ago, then
    as many as it takes until the database uses no more than --keep-bytes. A gateway may serve
    meanwhile. "aideator serve" with these settings does the same by itself.
    """
    from aideator_gateway.command import upkeep  # noqa: PLC0415 - SQL takes half a second to import
    from aideator_gateway.runs.retention import Keep  # noqa: PLC0415

    settings = Settings.load(flags)
    keep = Keep(settings.keep_days, settings.keep_bytes)
    if not keep:
        raise click.UsageError("Say what is kept: --keep-days, --keep-bytes or both.")
    done = asyncio.run(upkeep.prune(settings.data_dir, keep, dry_run=dry_run))
    count = f"{done.runs} run{'' if done.runs == 1 else 's'}"
    if dry_run:
        say(f"Would remove {count} with {done.bytes} bytes, and leave {done.used} in use.")
    else:
        say(f"Removed {count} with {done.bytes} bytes; {done.used} are in use.")


@click.command()
@click.argument("target", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@settings_options("data_dir")
def backup(target: Path, force: bool, data_dir: Path | None) -> None:
    """Copy the database into FILE, as it is at this moment, also while it is written to.

    FILE is readable by its owner alone. It holds runs, logs, patches and choices; styles and the
    configuration file are not in it.
    """
    from aideator_gateway.command import upkeep  # noqa: PLC0415 - as above

    path = Settings.load({"data_dir": data_dir}).data_dir
    size = upkeep.back_up(path, target, force=force)
    say(f"Wrote {target}: {size} bytes.")


@click.command()
@settings_options("data_dir")
def compact(data_dir: Path | None) -> None:
    """Give the room that removed runs have left in the database back to the disk.

    A gateway may serve meanwhile. SQLite uses such room again by itself, so there is no need to.
    """
    from aideator_gateway.command import upkeep  # noqa: PLC0415 - as above

    done = upkeep.compact(Settings.load({"data_dir": data_dir}).data_dir)
    say(f"The database has {done.after} bytes; it had {done.before}.")
