"""What came of an experiment, for a terminal or a file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from aideator_gateway.command.api_error import ApiError
from aideator_gateway.command.cli.connect import for_reading
from aideator_gateway.command.cli.experiment_files import explained, journal_of, read_file
from aideator_gateway.command.cli.output import console, say
from aideator_gateway.command.client import Client
from aideator_gateway.command.datadir import EXPERIMENTS, running_gateway
from aideator_gateway.command.terminal.reports import report_parts
from aideator_gateway.experiments.beginning import resumed
from aideator_gateway.experiments.definition import Experiment
from aideator_gateway.experiments.journal import read_journal
from aideator_gateway.experiments.judgments import Judgment, judgments_file, read_judgments
from aideator_gateway.experiments.plan import Plan
from aideator_gateway.experiments.report.links import Links
from aideator_gateway.experiments.report.making import report_of
from aideator_gateway.experiments.report.model import Report
from aideator_gateway.experiments.report.reaching import not_reached
from aideator_gateway.experiments.report.writing import FORMS, SUFFIXES, Form, written
from aideator_gateway.experiments.state import State
from aideator_gateway.experiments.thresholds import ThresholdError, Thresholds
from aideator_gateway.settings import Settings

DEFAULT_LINKS = "http://127.0.0.1:8000"


@dataclass(frozen=True)
class Wanted:
    """What is to be done once an experiment has been carried out, as it was given.

    Attributes
    ----------
    rates, no_worse_than
        Thresholds.
    reports
        Files to write.
    links
        Where the page is, if that was given.
    """

    rates: tuple[str, ...] = ()
    no_worse_than: tuple[str, ...] = ()
    reports: tuple[Path, ...] = ()
    links: str | None = None

    def checked(self, experiment: Experiment) -> Thresholds:
        """Return the thresholds, and refuse what cannot be done before anything is spent."""
        for file in self.reports:
            form_of(file)
        base_of(self.links)
        try:
            return Thresholds.of(experiment, self.rates, self.no_worse_than)
        except ThresholdError as error:
            raise click.UsageError(str(error)) from None


def report(
    name: str, flags: dict[str, Any], *, form: str | None, output: Path | None, links: str | None
) -> None:
    """Say what came of an experiment so far."""
    settings = Settings.load(flags)
    asked = form_of(output) if output and form is None else form
    base = base_of(links) or _served(settings)
    with explained():
        plan, state = _found(name, settings)
        judgments = judgments_of(settings, plan.experiment)
    with for_reading(settings) as client:
        found = report_of(plan, state, judgments, winners_of(client, state))
    if asked in (None, "table"):
        if output is None:
            show(console(), found)
        else:
            with _opened(output).open("w", encoding="utf-8") as file:
                show(Console(file=file, width=100, highlight=False, markup=False), found)
        return
    text = written(found, next(one for one in FORMS if one == asked), Links(base))
    if output is None:
        say(text.removesuffix("\n"))
    else:
        _write(output, text)


def _found(name: str, settings: Settings) -> tuple[Plan, State]:
    """Return an experiment's plan and state, by its file or its name."""
    file = Path(name)
    if not file.is_file():
        journal = settings.data_dir / EXPERIMENTS / f"{name}.jsonl"
        known = journal.is_file() and journal.parent == settings.data_dir / EXPERIMENTS
        state = State.of(read_journal(journal) if known else [])
        if not state.begun:
            raise click.ClickException(
                f"There is no file {name}, and no experiment of that name was begun in the data "
                f"directory {settings.data_dir}: aideator experiment run FILE begins one."
            )
        return state.plan, state
    read, _ = read_file(file, settings)
    state = State.of(read_journal(journal_of(settings, read)))
    if not state.begun:
        raise click.ClickException(
            f"Nothing of {read.name} has been done in the data directory {settings.data_dir}: "
            f"aideator experiment run {name} begins it."
        )
    begun = state.begun[-1]
    beginning = resumed(read, state, model=begun.model, scripted=begun.scripted)
    return beginning.plan, state


def judgments_of(settings: Settings, experiment: Experiment) -> list[Judgment]:
    """Return what people said of an experiment's attempts, as it is now."""
    return read_judgments(judgments_file(journal_of(settings, experiment)))


def winners_of(client: Client, state: State) -> dict[str, int]:
    """Return which variations people chose, by run, as it is now."""
    wanted = {one.run.run_id for tries in state.tries.values() for one in tries}
    winners = {}
    for page in client.pages():
        for run in page:
            if run.run_id in wanted:
                wanted.remove(run.run_id)
                if run.winning_variation_id is not None:
                    winners[run.run_id] = run.winning_variation_id
        # Newest first: what is behind the experiment's beginning is none of its runs.
        if not wanted or (page and page[-1].created_at < state.begun[0].time):
            break
    return winners


def say_results(
    plan: Plan, state: State, client: Client, settings: Settings, wanted: Wanted, *, table: bool
) -> Report:
    """Show what came of an experiment, and write the files that were asked for."""
    try:
        winners = winners_of(client, state)
    except ApiError as error:
        # It may be what ended the experiment, and takes nothing from what is in the journal.
        say(f"Note: what people chose is left out. {error}", err=True)
        winners = {}
    found = report_of(plan, state, judgments_of(settings, plan.experiment), winners)
    if table and found.done:
        say("")
        show(console(), found)
    base = base_of(wanted.links) or _served(settings)
    for file in wanted.reports:
        _write(file, written(found, form_of(file), Links(base)))
    return found


def missed(plan: Plan, found: Report, thresholds: Thresholds) -> Sequence[str]:
    """Return which thresholds are not reached, in words."""
    return list(not_reached(plan, found, thresholds)) if thresholds else []


def show(target: Console, found: Report) -> None:
    """Show a report as tables."""
    for part in report_parts(found):
        target.print(part)


def form_of(file: Path) -> Form:
    """Return the form that a file's name stands for."""
    form = SUFFIXES.get(file.suffix.lower())
    if form is None:
        known = ", ".join(SUFFIXES)
        raise click.UsageError(f"{file} says no form of report: its name has to end in {known}.")
    return form


def base_of(links: str | None) -> str | None:
    """Return where links lead, without a slash at the end."""
    if links is not None and not links.startswith(("http://", "https://")):
        raise click.UsageError("--links takes the http or https URL of a gateway.")
    return links.rstrip("/") if links else None


def _served(settings: Settings) -> str:
    running = running_gateway(settings.data_dir)
    return running.url if running else DEFAULT_LINKS


def _opened(file: Path) -> Path:
    """Make the directory of a file to write."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written ({error.strerror}).") from None
    return file


def _write(file: Path, text: str) -> None:
    try:
        _opened(file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written ({error.strerror}).") from None
