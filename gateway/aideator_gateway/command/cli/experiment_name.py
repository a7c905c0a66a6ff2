"""Which experiment is meant."""

import re
import tomllib
from pathlib import Path

import click

from aideator_gateway.experiments.definition import NAME


def name_of(experiment: str) -> str:
    """Return the name of the experiment that a word means: a name, or a file that has one.

    Raises
    ------
    click.ClickException
        If it is neither.
    """
    if re.fullmatch(NAME, experiment):
        return experiment
    try:
        name = tomllib.loads(Path(experiment).read_text(encoding="utf-8")).get("name")
    except FileNotFoundError:
        raise click.ClickException(
            f"There is no file {experiment}, and it is no name: experiments are called by "
            "lower-case letters, digits and -."
        ) from None
    except (OSError, ValueError) as error:
        raise click.ClickException(f"{experiment} cannot be read: {error}.") from None
    if not isinstance(name, str) or not re.fullmatch(NAME, name):
        raise click.ClickException(
            f"{experiment} is no experiment: it has no name that can be one."
        )
    return name
