"""A backend that does what a test says, in place of agents."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aideator.protocol import (
    AnyEvent,
    CompletedEvent,
    StatusEvent,
    StopReason,
    TextEvent,
    Usage,
    UsageEvent,
)
from aideator_gateway.runs.backend import RunSpec, Sink
from aideator_gateway.runs.dependencies import Dependencies
from aideator_gateway.runs.life import Runs
from aideator_gateway.runs.log import EventLog
from aideator_gateway.runs.metrics import Metrics
from aideator_gateway.runs.model import NewRun, Readiness
from aideator_gateway.runs.store import Store
from aideator_gateway.settings import Settings
from tests.support.owners import ScriptedOwners
from tests.support.stored_logs import parsed

Play = Callable[[RunSpec, Sink, asyncio.Event], Awaitable[None]]

REQUEST = NewRun(github_url="https://github.com/user/repo", prompt="x", variations=2)


class ScriptedBackend:
    """Plays one function for each run."""

    name = "scripted"
    no_checks: str | None = "it runs nothing"

    def __init__(self, play: Play) -> None:
        self._play = play

    async def start(self) -> None:
        """Do nothing."""

    async def run(self, spec: RunSpec, sink: Sink, stop: asyncio.Event) -> None:
        """Play."""
        await self._play(spec, sink, stop)

    async def readiness(self) -> Readiness:
        """Say that it is ready."""
        return Readiness(
            ready=True, backend=self.name, isolation=None, reason="", scripted=True, model="m"
        )

    async def aclose(self) -> None:
        """Do nothing."""


class House:
    """The parts of a gateway without HTTP: runs on a real database."""

    def __init__(
        self, store: Store, play: Play, give_up_seconds: float, settings: dict[str, Any]
    ) -> None:
        given = Settings.model_validate({"api_key": "key", **settings})
        self.store = store
        self.metrics = Metrics()
        # Each is a gateway of its own; those before it on the same database have died.
        owners = ScriptedOwners(f"gw_{secrets.token_hex(4)}")
        self.log = EventLog(store, self.metrics, owners.me, give_up_seconds=give_up_seconds)
        backend = ScriptedBackend(play)
        self.runs = Runs(Dependencies(given, store, self.log, backend, self.metrics), owners)

    async def ended(self, run_id: str, seconds: float = 60.0) -> list[tuple[str, int | None]]:
        """Wait until a run's log has ended, and return its events with their variations."""
        async with asyncio.timeout(seconds):
            return [
                (frame.event, frame.variation_id)
                async for segment in self.log.follow(run_id, 0)
                if segment is not None
                for frame in parsed(segment.frames)
            ]


@asynccontextmanager
async def house(
    store: Store, play: Play, *, give_up_seconds: float = 60.0, **settings: Any
) -> AsyncIterator[House]:
    """Open a gateway without HTTP, which takes up what an earlier one left."""
    opened = House(store, play, give_up_seconds, settings)
    await store.open()
    opened.log.start()
    try:
        await opened.runs.recover()
        yield opened
    finally:
        await opened.runs.aclose()
        await opened.log.aclose()
        await store.aclose()


def events(run_id: str, variation: int, *, turn: int = 3) -> list[AnyEvent]:
    """Return what an agent says that completes: five events, a second apart."""
    usage = Usage(input_tokens=100 * variation, output_tokens=10)
    seqs = iter(range(1, 10))

    def envelope() -> dict[str, object]:
        seq = next(seqs)
        return {"run": run_id, "variation": variation, "seq": seq, "time": 1000.0 + seq}

    return [
        StatusEvent.model_validate({**envelope(), "type": "status", "state": "starting"}),
        TextEvent.model_validate({**envelope(), "type": "text", "turn": 1, "text": "Hm."}),
        UsageEvent.model_validate(
            {**envelope(), "type": "usage", "turn": turn, "usage": usage, "total": usage}
        ),
        TextEvent.model_validate({**envelope(), "type": "text", "turn": turn, "text": "Done."}),
        CompletedEvent.model_validate(
            {
                **envelope(),
                "type": "completed",
                "stop_reason": StopReason.END_TURN,
                "summary": "Done.",
                "total": usage,
                "turns": turn,
                "seconds": 4.0,
            }
        ),
    ]


async def completes(spec: RunSpec, sink: Sink, stop: asyncio.Event) -> None:
    """Let all variations complete."""
    del stop
    for number in spec.variation_ids:
        for event in events(spec.run_id, number):
            await sink.event(event)


async def hangs(spec: RunSpec, sink: Sink, stop: asyncio.Event) -> None:
    """Let all variations talk, and stop before their ends."""
    del stop
    for number in spec.variation_ids:
        for event in events(spec.run_id, number)[:-1]:
            await sink.event(event)
    await asyncio.Event().wait()
