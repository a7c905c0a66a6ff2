"""A report's attempts as CSV."""

import csv
import io

from aideator_gateway.experiments.report.model import AttemptFacts, Report
from aideator_gateway.printable import printable

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def comma_separated(report: Report) -> str:
    """Return one row an attempt, with the names of ``AttemptFacts`` above.

    A text that a spreadsheet would take for a formula gets a ``'`` before it.
    """
    written = io.StringIO()
    table = csv.DictWriter(written, list(AttemptFacts.model_fields), lineterminator="\n")
    table.writeheader()
    for attempt in report.attempts:
        values = attempt.model_dump(mode="json")
        table.writerow({name: _value(value) for name, value in values.items()})
    return written.getvalue()


def _value(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return value
    return f"'{printable(value)}" if value.startswith(_FORMULA) else printable(value)
