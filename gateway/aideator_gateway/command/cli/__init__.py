"""The ``aideator`` command: a client of the HTTP API, and the server itself."""

import atexit
import contextlib
import gc
import os
import sys
from io import TextIOWrapper

import click

from aideator_gateway.command.api_error import ApiError
from aideator_gateway.command.cli.config import completion, config
from aideator_gateway.command.cli.connect import LeftAtOnce
from aideator_gateway.command.cli.decide import apply, cancel, select
from aideator_gateway.command.cli.demo import demo
from aideator_gateway.command.cli.diff import diff
from aideator_gateway.command.cli.exits import CANCELLED, FAILED
from aideator_gateway.command.cli.experiment import experiment
from aideator_gateway.command.cli.export import export
from aideator_gateway.command.cli.field_names import error_text
from aideator_gateway.command.cli.judge import judge
from aideator_gateway.command.cli.output import say
from aideator_gateway.command.cli.replay import replay
from aideator_gateway.command.cli.results import list_runs, show
from aideator_gateway.command.cli.run import run
from aideator_gateway.command.cli.serve import scripted_model, serve
from aideator_gateway.command.cli.upkeep import backup, compact, prune
from aideator_gateway.printable import one_line
from aideator_gateway.runs.problems import StartError
from aideator_gateway.settings import SettingsError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="aideator")
def cli() -> None:
    """Run one prompt on one Git repository in N isolated attempts and keep the best patch.

    Exit codes: 0 done, 1 failed or refused, 2 wrong usage, 3 thresholds not reached, 130 cancelled
    with Ctrl-C.
    """


for command in (
    run, demo, list_runs, show, diff, replay, select, apply, cancel, experiment, judge, export,
    serve, prune, backup, compact, scripted_model, config, completion,
):  # fmt: skip
    cli.add_command(command)


def main() -> None:
    """Run the command; an error is one line."""
    # The interpreter's last search for garbage is a quarter of a second of waiting for nothing.
    atexit.register(gc.freeze)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A terminal that cannot show a character must not end a run.
            stream.reconfigure(errors="backslashreplace")
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(CANCELLED)
    except LeftAtOnce as left:
        say(str(left) or "Left at once: what still ran is ended as interrupted.", err=True)
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        # Threads of the gateway in this process must not hold up who wants to leave.
        os._exit(CANCELLED)
    except click.ClickException as error:
        _say(error.format_message(), error.ctx if isinstance(error, click.UsageError) else None)
        sys.exit(error.exit_code)
    except ApiError as error:
        _say(error_text(error))
        sys.exit(FAILED)
    except (SettingsError, StartError) as error:
        _say(str(error))
        sys.exit(FAILED)


def _say(error: str, usage: click.Context | None = None) -> None:
    if usage is not None:
        say(f"{usage.get_usage()}\nTry '{usage.command_path} --help' for help.\n", err=True)
    say(f"Error: {one_line(error)}", err=True)
