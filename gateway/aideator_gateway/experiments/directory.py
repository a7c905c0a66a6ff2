"""The journals of a data directory, and whether one has changed."""

import re
from collections.abc import Iterator
from pathlib import Path

from aideator_gateway.experiments.definition import NAME
from aideator_gateway.runs.problems import Problem

Version = tuple[int, int]
"""Another one whenever a file has changed."""


def journals(directory: Path) -> Iterator[Path]:
    """Give the journals of a data directory; beside them there are files of other kinds."""
    for path in sorted(directory.glob("*.jsonl")):
        if journal_named(directory, path.stem) is not None:
            yield path


def journal_named(directory: Path, name: str) -> Path | None:
    """Return the journal of an experiment, ``None`` if there is none."""
    path = directory / f"{name}.jsonl"
    # A name is no path, and a file beside the journals no journal.
    return path if re.fullmatch(NAME, name) and path.is_file() else None


def version_of(path: Path) -> Version | None:
    """Return which version of a file is there, ``None`` if there is none."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_mtime_ns, stat.st_size


def not_found(name: str) -> Problem:
    """Return the problem of an experiment that is not there."""
    return Problem(
        "experiment_not_found",
        f"There is no experiment {name!r:.80} in the data directory: aideator experiment run "
        "carries one out.",
    )
