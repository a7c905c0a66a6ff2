"""Who decides what the scripted model answers, and the player of plain scripts."""

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from aideator_gateway.scripted_model.script import HttpError, Reply, complete


@dataclass(frozen=True)
class Request:
    """One request for a message, as it came in.

    Attributes
    ----------
    variation, run
        From the headers ``x-aideator-variation`` and ``x-aideator-run``; ``None`` without.
    body
        The JSON object that was sent.
    headers
        By lower-case name. They may hold an API key, so no representation shows them.
    time
        When the request was complete, in seconds since the epoch.
    over
        Set once nothing of the answer is sent any more: it is complete, or the client has gone.
    """

    variation: int | None
    run: str | None
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(repr=False)
    time: float
    over: threading.Event = field(default_factory=threading.Event, repr=False, compare=False)

    @property
    def messages(self) -> Sequence[Mapping[str, Any]]:
        """The conversation so far."""
        messages: Sequence[Mapping[str, Any]] = self.body["messages"]
        return messages


class Player(Protocol):
    """Answers requests. Called in the order in which they come in, never two at once."""

    def reply(self, request: Request) -> Reply:
        """Return the steps that answer ``request``."""
        ...


class Script:
    """Plays fixed replies in order, a list of them for each variation.

    Parameters
    ----------
    variations
        Replies by variation id.
    default
        Replies to requests of every other variation, and of none; each of these plays the
        list from its start.

    Raises
    ------
    ValueError
        If a reply cannot be played.
    """

    def __init__(
        self,
        variations: Mapping[int, Sequence[Reply]] | None = None,
        default: Sequence[Reply] = (),
    ) -> None:
        self._variations = dict(variations or {})
        self._default = default
        self._played: Counter[int | None] = Counter()
        for replies in (*self._variations.values(), default):
            for reply in replies:
                complete(reply)

    def reply(self, request: Request) -> Reply:
        """Return the next reply; once they are used up, an error that says so."""
        key = request.variation
        replies = self._default if key is None else self._variations.get(key, self._default)
        self._played[key] += 1
        number = self._played[key]
        if number <= len(replies):
            return replies[number - 1]
        whose = "requests of no variation" if key is None else f"variation {key}"
        return [
            HttpError(
                400,
                "invalid_request_error",
                f"The script for {whose} has {len(replies)} replies, and this is request "
                f"{number}: add a reply, or end the conversation earlier.",
            )
        ]
