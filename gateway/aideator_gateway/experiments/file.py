"""The experiment's file: read, completed, and refused with the line that is wrong."""

import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from aideator.protocol import Styles
from aideator.protocol.findings import findings
from aideator_gateway.experiments.definition import MAX_ATTEMPTS, Defaults, Experiment
from aideator_gateway.experiments.lines import Path as ValuePath
from aideator_gateway.experiments.lines import line_of, line_of_error

RepositoryUrl = Callable[[str, str | None], str]
"""Returns the URL that a gateway takes for a ``repository`` and its ``ref``; a ``ValueError``
says why there is none."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a file."""

    line: int
    message: str


class ExperimentFileError(Exception):
    """The file cannot be used; the text names its first bad line.

    Parameters
    ----------
    file
        As the user calls it.
    problems
        All that was found, in the order of the lines; at least one.
    """

    def __init__(self, file: Path, problems: Sequence[Problem]) -> None:
        # What tasks have in common is wrong for each of them.
        self.problems = sorted(dict.fromkeys(problems), key=lambda problem: problem.line)
        first, more = self.problems[0], len(self.problems) - 1
        also = [str(problem.line) for problem in self.problems[1:6]] + ["…"] * (more > 5)
        rest = f" (More is wrong on line {', '.join(also)}.)" if more else ""
        super().__init__(f"{file}:{first.line}: {first.message}{rest}")


def read_experiment(
    file: Path, styles: Styles, repository_url: RepositoryUrl = lambda url, _: url
) -> Experiment:
    """Read and check an experiment's file.

    What it names is in it afterwards: texts of files, styles and ``[defaults]``.

    Parameters
    ----------
    file
        The file. Paths in it are seen from its directory.
    styles
        The styles that conditions may name.
    repository_url
        Turns what the file says of a repository into a URL.

    Raises
    ------
    ExperimentFileError
        If it cannot be read or used.
    """
    try:
        text = file.read_text(encoding="utf-8")
        held = tomllib.loads(text)
    except OSError as error:
        raise ExperimentFileError(file, [Problem(1, f"{error.strerror}.")]) from None
    except tomllib.TOMLDecodeError as error:
        line = line_of_error(text, error)
        raise ExperimentFileError(file, [Problem(line, f"This is not TOML: {error}.")]) from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ExperimentFileError(file, [Problem(line, "This is not UTF-8 text.")]) from None
    wrong: list[tuple[ValuePath, str]] = []
    found = _validated(_with_files(held, file.parent, wrong), styles, wrong)
    if found is not None and not wrong:
        wrong += _disagreements(found)
        found = _with_urls(found, held, file.parent, repository_url, wrong)
    if found is None or wrong:
        problems = [Problem(line_of(text, path), _said(path, message)) for path, message in wrong]
        raise ExperimentFileError(file, problems)
    return found


def _said(path: ValuePath, message: str) -> str:
    """Return the message with the field's name; lists count from 1, as people do."""
    names = [str(part + 1) if isinstance(part, int) else part for part in path]
    return f"{'.'.join(names)}: {message}" if names else message


def _with_files(
    held: dict[str, Any], directory: Path, wrong: list[tuple[ValuePath, str]]
) -> dict[str, Any]:
    """Put what ``@FILE`` holds in its place, and what tasks have in common into each."""
    defaults = held.get("defaults")
    tasks = _tables(held, "tasks", "prompt", directory, wrong)
    if isinstance(defaults, dict):
        # What is wrong with a default is said where it stands.
        given = {name: value for name, value in defaults.items() if _is_default(name, value)}
        tasks = [{**given, **task} if isinstance(task, dict) else task for task in tasks]
    conditions = _tables(held, "conditions", "instructions", directory, wrong)
    texts = {"tasks": tasks, "conditions": conditions}
    return {**held, **{name: value for name, value in texts.items() if name in held}}


def _is_default(name: str, value: Any) -> bool:
    try:
        Defaults.model_validate({name: value})
    except ValidationError:
        return False
    return True


def _tables(
    held: dict[str, Any], name: str, field: str, directory: Path, wrong: list[tuple[ValuePath, str]]
) -> list[Any]:
    """Return the tables of a list, with what a file holds in place of its name."""
    tables = held.get(name)
    if not isinstance(tables, list):
        return []
    found = []
    for number, table in enumerate(tables):
        value = table.get(field) if isinstance(table, dict) else None
        if isinstance(value, str) and value.startswith("@"):
            try:
                text = (directory / value[1:]).read_text(encoding="utf-8")
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or error
                wrong.append(((name, number, field), f"{value[1:]} cannot be read ({reason})."))
                text = value
            found.append({**table, field: text})
        else:
            found.append(table)
    return found


def _validated(
    held: dict[str, Any], styles: Styles, wrong: list[tuple[ValuePath, str]]
) -> Experiment | None:
    try:
        return Experiment.model_validate(held, context=styles)
    except ValidationError as error:
        wrong += [(one.path, one.message) for one in findings(error, Experiment)]
        return None


def _disagreements(experiment: Experiment) -> Iterator[tuple[ValuePath, str]]:
    """Find what is wrong with the parts only when they are seen together."""
    names: set[str] = set()
    for number, task in enumerate(experiment.tasks):
        if task.name in names:
            yield ("tasks", number, "name"), f"Another task is called {task.name!r}."
        names.add(task.name)
        if task.setup is not None and task.check is None:
            yield ("tasks", number, "setup"), "There is no check that it would be for: give one."
    labels: set[str] = set()
    for number, condition in enumerate(experiment.conditions):
        where = ("conditions", number, "label" if condition.label else "style")
        if condition.name is None:
            yield where, "Give the condition a label: reports call it so."
        elif condition.name in labels:
            yield where, f"Another condition is called {condition.name!r}: give it a label."
        labels.add(condition.name or "")
    if experiment.baseline is not None and experiment.baseline not in labels:
        yield ("baseline",), f"There is no condition {experiment.baseline!r}."
    if experiment.attempts > MAX_ATTEMPTS:
        yield (
            ("repeats",),
            (f"This makes {experiment.attempts:,} attempts; at most {MAX_ATTEMPTS:,} are planned."),
        )


def _with_urls(
    experiment: Experiment,
    held: dict[str, Any],
    directory: Path,
    repository_url: RepositoryUrl,
    wrong: list[tuple[ValuePath, str]],
) -> Experiment:
    known: dict[tuple[str, str | None], str] = {}
    tasks = []
    for number, task in enumerate(experiment.tasks):
        repository = task.repository
        if "://" not in repository and not repository.startswith(("/", "~")):
            local = directory / repository
            repository = str(local) if local.exists() else repository
        key = (repository, task.ref)
        try:
            url = known[key] = known.get(key) or repository_url(*key)
        except ValueError as error:
            own = "repository" in held["tasks"][number]
            where = ("tasks", number, "repository") if own else ("defaults", "repository")
            wrong.append((where, str(error)))
            continue
        tasks.append(task.model_copy(update={"repository": url}))
    return experiment.model_copy(update={"tasks": tasks})
