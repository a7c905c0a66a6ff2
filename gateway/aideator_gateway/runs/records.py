"""What a run's log takes of an event: what clients see, the agent's line, the patch."""

from aideator.protocol import AnyEvent, PatchEvent
from aideator_gateway.runs.frames import frame
from aideator_gateway.runs.stored import Record

_DIFF = b'"diff":"'


def as_line(event: AnyEvent) -> bytes:
    """Return the line of an event that no agent wrote as it is."""
    return event.model_dump_json().encode()


def as_record(event: AnyEvent, line: bytes) -> Record:
    """Return what the log takes of an event and its line; a patch is taken out of it."""
    if not isinstance(event, PatchEvent):
        return Record(frame(event), line)
    without = as_line(event.model_copy(update={"diff": ""}))
    at = without.index(_DIFF) + len(_DIFF)
    return Record(frame(event), without, event.content(), at)
