"""Keys are kept out of what is stored: hidden in texts, and a patch that holds one is withheld.

Agents have no key. But a prompt, a repository or a mistake may hold one, and a hostile
attempt may have got hold of one.
"""

import asyncio
from enum import StrEnum
from typing import Any, TypeVar

from pydantic import BaseModel

from aideator.protocol import (
    AnyEvent,
    CompletedEvent,
    ErrorCode,
    FailedEvent,
    PatchEvent,
    Secrets,
    StatusEvent,
    TextEvent,
    ThinkingEvent,
)
from aideator_gateway.runs.backend import BackendError, Sink
from aideator_gateway.runs.binary_patch import TooLongError, unpacked
from aideator_gateway.runs.model import CheckResult

M = TypeVar("M", bound=BaseModel)

WITHHELD = "The patch holds an API key. It is withheld; the rest of the attempt is kept."


class Screen:
    """A sink that hands on what it is given, without secrets.

    Parameters
    ----------
    sink
        Where it hands things on.
    secrets
        What is looked for.
    """

    def __init__(self, sink: Sink, secrets: Secrets) -> None:
        self._sink = sink
        self._secrets = secrets
        self._withheld: set[int] = set()

    async def prepared(self, *, commit: str, isolation: str, copies: str | None) -> None:
        """Hand on which commit all variations start from."""
        await self._sink.prepared(commit=commit, isolation=isolation, copies=copies)

    async def event(self, event: AnyEvent, line: bytes | None = None) -> None:
        """Hand on an event; in place of one that would carry a key's patch come two.

        So what follows it moves up by one: ``seq`` stays without gaps.
        """
        given = event
        if isinstance(event, PatchEvent):
            if await asyncio.to_thread(self._is_in, event):
                self._withheld.add(event.variation)
                await self._sink.event(_notice(event))
                event = event.model_copy(update={"diff": "", "withheld": True})
        else:
            event = self._hidden(event)
        if event.variation in self._withheld:
            if isinstance(event, CompletedEvent):
                event = _failed(event)
            event = event.model_copy(update={"seq": event.seq + 1})
        await self._sink.event(event, line if event is given and self._is_plain(line) else None)

    async def checked(self, variation_id: int, result: CheckResult) -> None:
        """Hand on what a check found."""
        await self._sink.checked(variation_id, self._hidden_in_model(result))

    async def failed(self, variation_id: int, error: BackendError) -> None:
        """Hand on why a variation ended."""
        message = self._secrets.hidden_in(error.message)
        await self._sink.failed(variation_id, BackendError(error.code, message))

    def _is_plain(self, line: bytes | None) -> bool:
        """Whether a line says no more than was read from it.

        What was read has no secret any more. But a name that is given twice is read once, and
        with a backslash the other one could spell a secret.
        """
        if line is None or not self._secrets:
            return True
        return b"\\" not in line and not self._secrets.are_in(line)

    def _is_in(self, patch: PatchEvent) -> bool:
        if not self._secrets:
            return False
        diff = patch.content()
        try:
            return self._secrets.are_in(diff) or any(map(self._secrets.are_in, unpacked(diff)))
        except TooLongError:
            return True

    def _hidden(self, event: AnyEvent) -> AnyEvent:
        if isinstance(event, TextEvent | ThinkingEvent) and not event.model_extra:
            # Most events are one token, and nothing else in it is a text of the agent's.
            text = self._secrets.hidden_in(event.text)
            return event if text == event.text else event.model_copy(update={"text": text})
        return self._hidden_in_model(event)

    def _hidden_in_model(self, model: M) -> M:
        given = model.model_dump()
        hidden = self._hidden_in(given)
        return model if hidden == given else type(model).model_validate(hidden)

    def _hidden_in(self, value: Any) -> Any:
        match value:
            case StrEnum():
                return value
            case str():
                return self._secrets.hidden_in(value)
            case dict():
                return {self._hidden_in(key): self._hidden_in(item) for key, item in value.items()}
            case list():
                return [self._hidden_in(item) for item in value]
        return value


def _notice(event: PatchEvent) -> StatusEvent:
    envelope = event.model_dump(include={"run", "variation", "attempt", "seq", "time"})
    return StatusEvent(**envelope, type="status", state="notice", message=WITHHELD)


def _failed(event: CompletedEvent) -> FailedEvent:
    kept = {"run", "variation", "attempt", "seq", "time", "total", "turns", "seconds"}
    return FailedEvent(
        **event.model_dump(include=kept),
        type="failed",
        code=ErrorCode.SECRET_IN_PATCH,
        message=WITHHELD,
    )
