"""An experiment's file and journal, as commands find them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from aideator.protocol import Styles
from aideator_gateway.command.cli.repository import url_of
from aideator_gateway.command.datadir import EXPERIMENTS
from aideator_gateway.experiments.definition import Experiment
from aideator_gateway.experiments.file import ExperimentFileError, read_experiment
from aideator_gateway.experiments.journal import JournalError
from aideator_gateway.settings import Settings


def read_file(file: Path, settings: Settings) -> tuple[Experiment, bool]:
    """Return the experiment of a file, and whether a repository of it is on this machine."""

    def repository_url(repository: str, ref: str | None) -> str:
        try:
            return url_of(repository, ref)[0]
        except click.ClickException as error:
            raise ValueError(error.message) from None

    try:
        found = read_experiment(file, Styles(settings.styles_dir), repository_url)
    except ExperimentFileError as error:
        raise click.ClickException(str(error)) from None
    return found, any(task.repository.startswith("file:") for task in found.tasks)


def journal_of(settings: Settings, read: Experiment) -> Path:
    """Return where an experiment's journal is."""
    return settings.data_dir / EXPERIMENTS / f"{read.name}.jsonl"


@contextmanager
def explained() -> Iterator[None]:
    """Turn what is wrong with a journal into an error of the command."""
    try:
        yield
    except JournalError as error:
        raise click.ClickException(str(error)) from None
