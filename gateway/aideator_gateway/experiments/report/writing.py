"""A report in the form that somebody asks for."""

import json
from collections.abc import Callable
from typing import Literal, get_args

from aideator_gateway.experiments.report.document import document
from aideator_gateway.experiments.report.links import Links
from aideator_gateway.experiments.report.markdown import markdown
from aideator_gateway.experiments.report.model import Report
from aideator_gateway.experiments.report.rows import comma_separated

Form = Literal["markdown", "json", "csv", "html"]

FORMS: tuple[Form, ...] = get_args(Form)

SUFFIXES: dict[str, Form] = {".md": "markdown", ".json": "json", ".csv": "csv", ".html": "html"}
"""Which form a file has, by its name."""


def _json(report: Report, links: Links) -> str:
    del links
    # In ASCII, which commands no terminal.
    return json.dumps(report.model_dump(mode="json"), indent=2) + "\n"


def _csv(report: Report, links: Links) -> str:
    del links
    return comma_separated(report)


_WRITERS: dict[Form, Callable[[Report, Links], str]] = {
    "markdown": markdown,
    "json": _json,
    "csv": _csv,
    "html": document,
}


def written(report: Report, form: Form, links: Links) -> str:
    """Return a report as the text of a file."""
    return _WRITERS[form](report, links)
