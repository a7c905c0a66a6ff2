"""Why a run, or a part of it, did not complete: cause and remedy in a line."""

from aideator.protocol import ErrorCode, Status
from aideator_gateway.command.cli.field_names import with_flags
from aideator_gateway.command.terminal.text import numbered, sentence
from aideator_gateway.printable import printable
from aideator_gateway.runs.model import Run


def causes(run: Run) -> list[str]:
    """Return one line for each cause, with its remedy, and whom it ended."""
    if run.code is not None:
        return [f"The run failed ({run.code}): {_explained(run.code, run.message)}"]
    whom: dict[tuple[Status, ErrorCode, str | None], list[int]] = {}
    for variation in run.variations:
        if variation.code is not None and variation.status is not Status.CANCELLED:
            cause = (variation.status, variation.code, variation.message)
            whom.setdefault(cause, []).append(variation.variation_id)
    return [
        f"{numbered(numbers).capitalize()} {'failed' if status is Status.FAILED else 'ended'} "
        f"({code}): {_explained(code, message)}"
        for (status, code, message), numbers in whom.items()
    ]


def _explained(code: ErrorCode, message: str | None) -> str:
    # Causes are one line, also where a program's own words are part of it.
    said = " ".join(printable((message or "").replace("\n", " ")).split())
    remedy = with_flags(code.remedy)
    if code.remedy in said:
        return said.replace(code.remedy, remedy)
    return f"{sentence(said)} {remedy}" if said else remedy
