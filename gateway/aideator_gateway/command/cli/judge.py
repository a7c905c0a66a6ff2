"""``judge``: which of two attempts is better, without knowing whose they are."""

from typing import Any

import click

from aideator_gateway.command.cli.experiment import need_extra
from aideator_gateway.command.cli.options import settings_options


@click.command()
@click.argument("experiment", metavar="EXPERIMENT")
@click.option("--as", "judge", metavar="NAME", help="Who judges; kept with each judgment.")
@click.option("--show-checks", is_flag=True, help="Say what the checks of both said.")
@click.option(
    "--again", is_flag=True, help="Go on when you have judged all pairs: they come once more."
)
@click.option(
    "--overlap", is_flag=True,
    help="Pairs that others have judged come first, to see how far you agree.",
)  # fmt: skip
@settings_options("data_dir")
def judge(experiment: str, **options: Any) -> None:
    """Say of two attempts at one task which is better, as often as you like.

    EXPERIMENT is the name of one in the data directory, or its file. Both patches are shown, and
    nothing of their conditions; sides are drawn by lot. Each answer is kept as soon as it is
    given, so that one can stop at any time and go on later.
    """
    need_extra()
    from aideator_gateway.command.cli import judging  # noqa: PLC0415

    judging.judge(experiment, **options)
