"""Where a page of the list of runs ends: opaque to clients, and good without the run itself."""

import re
from datetime import UTC, datetime, timedelta

from aideator_gateway.runs.model import Run
from aideator_gateway.runs.problems import invalid_field
from aideator_gateway.runs.store import Store
from aideator_gateway.runs.stored import ListPosition

PATTERN = r"^[0-9]{1,17}\.[0-9A-Za-z_]{1,64}$"

_EPOCH = datetime.fromtimestamp(0, UTC)
_MICROSECOND = timedelta(microseconds=1)


def write(last: Run) -> str:
    """Return the cursor of the page behind a run."""
    return f"{(last.created_at - _EPOCH) // _MICROSECOND}.{last.run_id}"


async def read(cursor: str, store: Store) -> ListPosition:
    """Return the position that a cursor stands for; the id of a run is one as well.

    Raises
    ------
    Problem
        If it is neither.
    """
    if re.fullmatch(PATTERN, cursor):
        count, _, run_id = cursor.partition(".")
        return ListPosition(_EPOCH + int(count) * _MICROSECOND, run_id)
    position = await store.list_position(cursor)
    if position is None:
        raise invalid_field("cursor", "Use `next` of the page before as it is, or leave it out.")
    return position
