"""Makes a report in a process of its own: figures take time, memory and a second of imports.

Standard input has a ``Request``; standard output gets a ``Made``.
"""

import os
import resource
import sys

from aideator_gateway.experiments.journal import JournalError, read_journal
from aideator_gateway.experiments.judgments import judgments_file, read_judgments
from aideator_gateway.experiments.report.document import document
from aideator_gateway.experiments.report.links import Links
from aideator_gateway.experiments.report.making import report_of
from aideator_gateway.experiments.report.request import UNUSABLE, Made, Request
from aideator_gateway.experiments.state import State

SECONDS = 60
"""Processor time that it may take, whoever still waits for it."""


def main() -> int:
    """Make the report that is asked for, and return the exit code."""
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    # What streams to readers goes first.
    os.nice(5)
    request = Request.model_validate_json(sys.stdin.read())
    try:
        state = State.of(read_journal(request.journal))
        judgments = read_judgments(judgments_file(request.journal))
    except JournalError as error:
        sys.stderr.write(str(error))
        return UNUSABLE
    report = report_of(state.plan, state, judgments, request.winners)
    # The page itself has an address of no name: so links lead to wherever it is.
    made = Made(report=report.model_dump_json(), html=document(report, Links()))
    sys.stdout.write(made.model_dump_json())
    return 0


if __name__ == "__main__":
    sys.exit(main())
