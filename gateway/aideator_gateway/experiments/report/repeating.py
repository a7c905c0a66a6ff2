"""The file that repeats an experiment."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aideator.protocol import Condition
from aideator_gateway.experiments.definition import Experiment


def file_of(
    experiment: Experiment,
    conditions: Sequence[Condition],
    commits: Mapping[tuple[str, str | None], str],
) -> str:
    """Return an experiment as TOML that says all it went by.

    Parameters
    ----------
    conditions
        With their models, also where the experiment's file named none.
    commits
        What a repository's ref was: it is named in place of the ref, as far as it is known.
    """
    given = experiment.model_dump(exclude_none=True, exclude={"defaults", "conditions", "tasks"})
    tasks = []
    for task in experiment.tasks:
        ref = commits.get((task.repository, task.ref), task.ref)
        tasks.append({**task.model_dump(exclude_none=True), **({"ref": ref} if ref else {})})
    lines = list(_table(given))
    for task_table in tasks:
        lines += ["", "[[tasks]]", *_table(task_table)]
    for condition in conditions:
        lines += ["", "[[conditions]]", *_table(condition.model_dump(exclude_none=True))]
    return "\n".join(lines) + "\n"


def _table(values: Mapping[str, Any]) -> Iterator[str]:
    for name, value in values.items():
        if value not in ({}, []):
            yield f"{name} = {_value(value)}"


def _value(value: Any) -> str:
    match value:
        case str() if "\n" in value:
            # Readable, and still the very same text.
            return f'"""\n{_escaped(value, keep_lines=True)}"""'
        case str():
            return f'"{_escaped(value)}"'
        case list():
            return f"[{', '.join(map(_value, value))}]"
        case dict():
            return f"{{ {', '.join(f'{k} = {_value(v)}' for k, v in value.items())} }}"
        case _:
            return json.dumps(value)


def _escaped(text: str, *, keep_lines: bool = False) -> str:
    escaped = "".join(
        f"\\u{ord(c):04X}" if c != "\n" and (c < " " or c == "\x7f") else c
        for c in text.replace("\\", "\\\\").replace('"', '\\"')
    )
    return escaped if keep_lines else escaped.replace("\n", "\\n")
