"""What an attempt said and did, as the messages of a chat."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aideator.protocol import (
    AnyEvent,
    RetryEvent,
    TextEvent,
    ThinkingEvent,
    ToolCallEvent,
    ToolResultEvent,
    parse_line,
)

Message = dict[str, Any]

_Said = TextEvent | ThinkingEvent | ToolCallEvent | ToolResultEvent


@dataclass
class _Turn:
    """What counts of one turn so far: what its last try said."""

    try_: int = 1
    events: list[_Said] = field(default_factory=list)


class Conversation:
    """Takes in the events of an attempt one by one, and keeps what became of the conversation.

    Parameters
    ----------
    thinking
        Whether the model's thinking is kept.
    """

    def __init__(self, *, thinking: bool = False) -> None:
        self._thinking = thinking
        self._attempt = 0
        self._turns: dict[int, _Turn] = {}

    @classmethod
    def of(cls, lines: Iterable[bytes], *, thinking: bool = False) -> "Conversation":
        """Return the conversation of a transcript."""
        found = cls(thinking=thinking)
        for line in lines:
            event = parse_line(line)
            if event is not None:
                found.take(event)
        return found

    def take(self, event: AnyEvent) -> None:
        """Take in the next event; what a repeated request supersedes is forgotten."""
        if event.attempt > self._attempt:
            self._attempt = event.attempt
            self._turns = {}
        if event.attempt < self._attempt or not isinstance(event, _Said | RetryEvent):
            return
        turn = self._turns.setdefault(event.turn, _Turn())
        # A retry says that its own try was given up.
        number = event.try_ + isinstance(event, RetryEvent)
        if number > turn.try_:
            turn.try_, turn.events = number, []
        if number == turn.try_ and isinstance(event, _Said):
            if isinstance(event, ThinkingEvent) and not self._thinking:
                return
            turn.events.append(event)

    def messages(self) -> list[Message]:
        """Return it as messages: the assistant's, and those of tools that answered it."""
        found: list[Message] = []
        for _, turn in sorted(self._turns.items()):
            answer = _assistant(turn.events)
            if answer is None:
                continue
            before = found[-1] if found else None
            # Cut off at its length limit, the model was asked to go on where it had stopped.
            if before is not None and before["role"] == "assistant" and "tool_calls" not in before:
                found[-1] = _joined(before, answer)
            else:
                found.append(answer)
            found += [
                {
                    "role": "tool",
                    "tool_call_id": event.id,
                    "name": event.name,
                    "content": event.content,
                }
                for event in turn.events
                if isinstance(event, ToolResultEvent)
            ]
        return found


def _assistant(events: Sequence[_Said]) -> Message | None:
    """Return what the model said in a turn, ``None`` if that is nothing."""
    calls = [
        {
            "id": event.id,
            "type": "function",
            "function": {"name": event.name, "arguments": event.input},
        }
        for event in events
        if isinstance(event, ToolCallEvent)
    ]
    message: Message = {"role": "assistant", "content": _text(events, TextEvent)}
    if thinking := _text(events, ThinkingEvent):
        message["thinking"] = thinking
    if calls:
        message["tool_calls"] = calls
    return message if message["content"] or len(message) > 2 else None


def _text(events: Sequence[_Said], kind: type[TextEvent] | type[ThinkingEvent]) -> str:
    """Return the pieces of one kind; what comes between two of them begins a new paragraph."""
    text, apart = "", False
    for event in events:
        if isinstance(event, kind):
            text += ("\n\n" if apart and text else "") + event.text
        apart = not isinstance(event, kind)
    return text


def _joined(before: Message, after: Message) -> Message:
    return {
        **before,
        **after,
        **{
            name: before.get(name, "") + after.get(name, "")
            for name in ("content", "thinking")
            if name in before or name in after
        },
    }
