"""What ``export preferences`` does."""

import contextlib
import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO, TypeVar

import click

from aideator_gateway.command.api_error import ApiError
from aideator_gateway.command.cli.connect import for_reading
from aideator_gateway.command.cli.experiment_files import explained
from aideator_gateway.command.cli.experiment_name import name_of
from aideator_gateway.command.cli.lookup import find_run
from aideator_gateway.command.cli.output import say
from aideator_gateway.command.client import Client
from aideator_gateway.command.datadir import EXPERIMENTS
from aideator_gateway.command.terminal.text import counted
from aideator_gateway.experiments.definition import NAME
from aideator_gateway.experiments.entries import Ended, Entry
from aideator_gateway.experiments.journal import read_journal
from aideator_gateway.experiments.judgments import judgments_file, latest, read_judgments
from aideator_gateway.experiments.state import State
from aideator_gateway.preferences.preference import (
    Attempt,
    Origin,
    Preference,
    attempts_of,
    from_checks,
    from_judgment,
    from_selection,
    labelled,
)
from aideator_gateway.preferences.records import Records
from aideator_gateway.runs.model import Run
from aideator_gateway.settings import Settings

E = TypeVar("E")

_GONE = ("run_not_found", "run_deleted")

Labelled = tuple[Attempt, Origin]


def preferences(
    sources: tuple[str, ...],
    *,
    from_checks: bool,
    unpaired: bool,
    without_files: bool,
    with_thinking: bool,
    output: Path | None,
    data_dir: Path | None,
) -> None:
    """Write preference data, and say on standard error what it is."""
    settings = Settings.load({"data_dir": data_dir})
    with for_reading(settings) as client, _written(output) as file:
        export = _Export(client, settings.data_dir / EXPERIMENTS, checks=from_checks)
        records = Records(client.transcript_lines, files=not without_files, thinking=with_thinking)
        for source in dict.fromkeys(sources):
            give = export.unpaired if unpaired else export.paired
            for record in give(source, records):
                file.write(json.dumps(record) + "\n")
    for line in export.said():
        say(line, err=True)


class _Export:
    """Finds preferences, and counts them."""

    def __init__(self, client: Client, experiments: Path, *, checks: bool) -> None:
        self._client = client
        self._experiments = experiments
        self._checks = checks
        self._written: Counter[str] = Counter()
        self._left_out: Counter[str] = Counter()

    def paired(self, source: str, records: Records) -> Iterator[dict[str, Any]]:
        """Give the records of an experiment or a run."""
        for preference in self._preferences(source):
            if not preference.comparable:
                self._left_out["not asked the same, or not completed"] += 1
            elif (record := records.paired(preference)) is None:
                self._left_out["an attempt that said nothing"] += 1
            else:
                self._written[preference.origin.source] += 1
                yield record

    def unpaired(self, source: str, records: Records) -> Iterator[dict[str, Any]]:
        """Give a record for each attempt that completed, and of which a check said something."""
        for attempt, origin in self._labelled(source):
            record = records.unpaired(attempt, origin)
            if record is None:
                self._left_out["an attempt that said nothing"] += 1
            else:
                self._written["check"] += 1
                yield record

    def said(self) -> Iterator[str]:
        """Give what was written and what was not, in words."""
        parts = [f"{count} from {source}s" for source, count in sorted(self._written.items())]
        of = f": {', '.join(parts)}" if parts else ""
        yield f"{counted(self._written.total(), 'record')}{of}."
        for why, count in sorted(self._left_out.items()):
            yield f"Left out: {count} ({why})."

    def _preferences(self, source: str) -> Iterator[Preference]:
        journal = self._journal(source)
        if journal is None:
            run = find_run(self._client, source, checkout=None)
            yield from from_selection(run)
            if self._checks:
                yield from from_checks(attempts_of(run))
            return
        name = journal.stem
        entries = _read(read_journal, journal)
        runs = self._runs_of(entries)
        for judgment in latest(_read(read_judgments, judgments_file(journal))):
            if judgment.winner is None:
                continue
            preference = from_judgment(judgment, runs, name)
            if preference is None:
                self._left_out["the run is gone"] += 1
            else:
                yield preference
        for run in runs.values():
            yield from from_selection(run, name)
        if self._checks:
            for task, attempts in self._by_task(entries, runs).items():
                yield from from_checks(attempts, name, task)

    def _labelled(self, source: str) -> Iterator[Labelled]:
        journal = self._journal(source)
        if journal is None:
            run = find_run(self._client, source, checkout=None)
            for one in labelled(attempts_of(run)):
                yield one, Origin("check", run.ended_at)
            return
        entries = _read(read_journal, journal)
        for task, attempts in self._by_task(entries, self._runs_of(entries)).items():
            for one in labelled(attempts):
                yield one, Origin("check", one.run.ended_at, journal.stem, task)

    def _journal(self, source: str) -> Path | None:
        """Return the journal of an experiment, ``None`` if a run is meant."""
        if not re.fullmatch(NAME, source) and not Path(source).is_file():
            return None
        journal = self._experiments / f"{name_of(source)}.jsonl"
        if journal.is_file():
            return journal
        if Path(source).is_file():
            raise click.ClickException(
                f"{source} was never carried out here: aideator experiment run does that."
            )
        return None

    def _runs_of(self, entries: list[Entry]) -> dict[str, Run]:
        """Return the runs of an experiment as they are now, with who was selected."""
        found: dict[str, Run] = {}
        for entry in entries:
            if isinstance(entry, Ended):
                run = self._run(entry.run.run_id)
                if run is not None:
                    found[run.run_id] = run
        return found

    def _run(self, run_id: str) -> Run | None:
        try:
            return self._client.run(run_id)
        except ApiError as error:
            if error.code not in _GONE:
                raise
            return None

    def _by_task(self, entries: list[Entry], runs: dict[str, Run]) -> dict[str, list[Attempt]]:
        """Return the attempts that count, by task."""
        state = State.of(entries)
        found: dict[str, list[Attempt]] = defaultdict(list)
        if not state.begun:
            return found
        for planned in state.plan.attempts:
            result = state.result(planned.id)
            if result is None:
                continue
            if result.run.run_id in runs:
                found[planned.task.name].append(Attempt(result.run, result.variation))
            else:
                self._left_out["the run is gone"] += 1
        return found


def _read(read: Callable[[Path], list[E]], file: Path) -> list[E]:
    with explained():
        return read(file)


@contextlib.contextmanager
def _written(output: Path | None) -> Iterator[TextIO]:
    """Give where records go; a file appears when it is whole."""
    if output is None:
        yield sys.stdout
        return
    part = output.with_name(f"{output.name}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            yield file
        part.replace(output)
    except OSError as error:
        raise click.ClickException(f"{output} cannot be written: {error.strerror}.") from None
    finally:
        part.unlink(missing_ok=True)
