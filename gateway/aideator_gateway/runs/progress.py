"""How far one variation has come, as far as its events say."""

import time
from dataclasses import dataclass, field

from aideator.protocol import AnyEvent, EndEvent, PatchEvent, Status, Usage, UsageEvent, parse_line
from aideator_gateway.runs.store import Store


@dataclass
class Progress:
    """What is known of an attempt that may have to be ended in its place."""

    seq: int = 0
    """Of the last event taken."""
    attempt: int = 1
    began: float | None = None
    last: float = 0.0
    """Times of its first and last event, by the sandbox's clock."""
    since: float | None = None
    """When its first event came, by the monotonic clock; ``None`` if it is not followed here."""
    turns: int = 0
    usage: Usage = field(default_factory=Usage)
    end: EndEvent | None = None
    status: Status | None = None
    """How it ended, if it has."""
    patched: bool = False
    """Whether its patch has come."""
    kept: int = 0
    """Bytes of its lines that were kept since this gateway follows it."""

    @property
    def seconds(self) -> float:
        """From its first event until now, or to its last where nobody followed it further."""
        if self.since is not None:
            return time.monotonic() - self.since
        return 0.0 if self.began is None else max(0.0, self.last - self.began)

    def take(self, event: AnyEvent) -> None:
        """Note what an event says."""
        self.seq = event.seq
        self.attempt = event.attempt
        if self.began is None:
            self.began = event.time
            self.since = time.monotonic()
        self.last = event.time
        if isinstance(event, UsageEvent):
            self.turns, self.usage = event.turn, event.total
        if isinstance(event, PatchEvent):
            self.patched = True
        if isinstance(event, EndEvent):
            self.end, self.status = event, event.status


async def stored_progress(store: Store, run_id: str, variation_id: int) -> Progress:
    """Return what the stored transcript says of a variation."""
    progress = Progress()
    async for line in store.lines(run_id, variation_id):
        if event := parse_line(line):
            progress.take(event)
            break
    # The last one, behind the last that says what was used.
    newest: list[AnyEvent] = []
    async for line in store.lines(run_id, variation_id, newest_first=True):
        if event := parse_line(line):
            if not newest or isinstance(event, UsageEvent):
                newest.insert(0, event)
            if isinstance(event, UsageEvent):
                break
    for event in newest:
        progress.take(event)
    progress.since = None
    progress.patched = await store.has_patch(run_id, variation_id)
    return progress
