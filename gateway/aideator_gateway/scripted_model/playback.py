"""Plays a recorded transcript back as a model's replies, so that a real run becomes a test."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Self

from aideator.protocol import (
    AnyEvent,
    CompletedEvent,
    EndEvent,
    ErrorCode,
    FailedEvent,
    RetryEvent,
    StopReason,
    TextEvent,
    ThinkingEvent,
    ToolCallEvent,
    ToolResultEvent,
    UsageEvent,
    parse_line,
)
from aideator_gateway.scripted_model.player import Request
from aideator_gateway.scripted_model.script import (
    Drop,
    Hang,
    HttpError,
    Reply,
    Step,
    Stop,
    StreamError,
    Text,
    Thinking,
    TokenCounts,
    ToolUse,
    Wait,
)

SIGNATURE = "played back"
"""Stands in for the signatures of thinking, which transcripts do not hold."""

_OfTurn = TextEvent | ThinkingEvent | ToolCallEvent | ToolResultEvent | UsageEvent | RetryEvent

_ERRORS = {
    ErrorCode.AUTHENTICATION_FAILED: (401, "authentication_error"),
    ErrorCode.PERMISSION_DENIED: (403, "permission_error"),
    ErrorCode.CREDIT_EXHAUSTED: (400, "invalid_request_error"),
    ErrorCode.MODEL_NOT_FOUND: (404, "not_found_error"),
    ErrorCode.INVALID_REQUEST: (400, "invalid_request_error"),
    ErrorCode.REQUEST_TOO_LARGE: (413, "request_too_large"),
    ErrorCode.RATE_LIMITED: (429, "rate_limit_error"),
    ErrorCode.OVERLOADED: (529, "overloaded_error"),
    ErrorCode.API_ERROR: (500, "api_error"),
}
_SERVER_SIDE = {
    *_ERRORS,
    ErrorCode.CONNECTION_FAILED,
    ErrorCode.STREAM_BROKEN,
    ErrorCode.STREAM_STALLED,
}


class TranscriptPlayer:
    """Answers the n-th request of a conversation with what the model said in turn n.

    Each turn is played as its last try was. A turn that a failure of the model's server
    ended fails again in the same way, every time it is asked for; one that was not
    complete for another reason (a stop, a time limit) hangs where it was left. What no
    transcript holds is made up: signatures of thinking, where one of two text blocks in a
    row ended, and why a turn without a tool call was not the last (``max_tokens``).

    Parameters
    ----------
    lines
        The transcript's lines; those of several variations may be mixed. A transcript of
        just one is played to whoever asks. Of several attempts the last one counts.
    speed
        1 for the pauses inside each turn as they were, 2 for half of them, and so on;
        ``None`` for none.

    Raises
    ------
    ValueError
        If no turn of a model is in the lines, or the speed is not above 0.
    """

    def __init__(self, lines: Iterable[bytes | str], speed: float | None = None) -> None:
        if speed is not None and speed <= 0:
            raise ValueError("speed: use a number above 0, or None for no pauses.")
        events: dict[int, list[AnyEvent]] = {}
        for line in lines:
            event = parse_line(line)
            if event is not None:
                events.setdefault(event.variation, []).append(event)
        self._turns: dict[int, list[Reply]] = {
            variation: turns for variation, said in events.items() if (turns := _turns(said, speed))
        }
        if not self._turns:
            raise ValueError("The transcript has no turn of a model to play back.")

    @classmethod
    def from_file(cls, path: Path, speed: float | None = None) -> Self:
        """Read a transcript file.

        Raises
        ------
        OSError
            If it cannot be read.
        ValueError
            As above.
        """
        with path.open("rb") as lines:
            return cls(lines, speed)

    def reply(self, request: Request) -> Reply:
        """Return the turn that follows on the conversation so far."""
        # Each turn played so far has brought one of these, also if the model said nothing.
        number = len([m for m in request.messages if m.get("role") == "user"])
        turns = self._turns.get(request.variation or 0)
        if turns is None and len(self._turns) == 1:
            turns = next(iter(self._turns.values()))
        if turns is None:
            known = ", ".join(map(str, sorted(self._turns)))
            return [_missing(f"holds variations {known}, not {request.variation}")]
        if number > len(turns):
            return [_missing(f"has {len(turns)} turns, and this is request {number}")]
        return turns[number - 1]


def _missing(what: str) -> HttpError:
    return HttpError(400, "invalid_request_error", f"The transcript {what}.")


def _turns(events: Sequence[AnyEvent], speed: float | None) -> list[Reply]:
    """Return the replies of a variation's last attempt."""
    last = max(event.attempt for event in events)
    events = sorted((e for e in events if e.attempt == last), key=lambda event: event.seq)
    end = next((event for event in events if isinstance(event, EndEvent)), None)
    count = max((event.turn for event in events if isinstance(event, _OfTurn)), default=0)
    turns = [
        _Turn([e for e in events if isinstance(e, _OfTurn) and e.turn == number])
        for number in range(1, count + 1)
    ]
    replies: list[Reply] = [[*turn.steps(speed), Stop(turn.stop)] for turn in turns[:-1]]
    unserved = isinstance(end, FailedEvent) and end.code in _SERVER_SIDE
    if unserved and (not turns or turns[-1].answered):
        # The request that failed got no answer that left a trace.
        replies += [[*turn.steps(speed), Stop(turn.stop)] for turn in turns[-1:]]
        turns.append(_Turn([]))
    return [*replies, _last(turns[-1], end, speed)] if turns else []


def _last(turn: "_Turn", end: EndEvent | None, speed: float | None) -> Reply:
    """Return the reply of the turn in which the attempt ended."""
    steps = turn.steps(speed)
    match end:
        case CompletedEvent(stop_reason=StopReason.CONTEXT_WINDOW):
            return [*steps, Stop("model_context_window_exceeded")]
        case CompletedEvent(stop_reason=StopReason.END_TURN):
            return [*steps, Stop("end_turn")]
        case FailedEvent(code=ErrorCode.REFUSAL):
            return [*steps, Stop("refusal")]
        case FailedEvent(code=ErrorCode.CONNECTION_FAILED | ErrorCode.STREAM_BROKEN):
            return [*steps, Drop()]
        case FailedEvent(code=code, message=message) if code in _ERRORS:
            status, kind = _ERRORS[code]
            if any(not isinstance(step, TokenCounts) for step in steps):
                return [*steps, StreamError(kind, message)]
            return [HttpError(status, kind, message)]
    return [*steps, Stop(turn.stop) if turn.answered or _at_limit(end) else Hang()]


def _at_limit(end: EndEvent | None) -> bool:
    """Whether the attempt ended at a limit that is looked at between turns only."""
    return isinstance(end, CompletedEvent) and end.stop_reason is not StopReason.LIMIT_SECONDS


class _Turn:
    """What the transcript holds of one turn, in its last try."""

    def __init__(self, events: Sequence[_OfTurn]) -> None:
        # A retry says that its own try was given up: the one after may have left no trace.
        final = max((e.try_ + isinstance(e, RetryEvent) for e in events), default=1)
        self._events = [e for e in events if e.try_ == final]

    @property
    def answered(self) -> bool:
        """Whether it was complete for sure: tools are run only then."""
        return any(isinstance(event, ToolResultEvent) for event in self._events)

    @property
    def stop(self) -> str:
        """Why it stopped, given that the conversation went on."""
        called = any(isinstance(event, ToolCallEvent) for event in self._events)
        return "tool_use" if called else "max_tokens"

    def steps(self, speed: float | None) -> list[Step]:
        """Return its content and its usage."""
        steps: list[Step] = []
        before: float | None = None
        for kind, run in groupby(self._events, key=type):
            events = list(run)
            waits = []
            for event in events:
                gap = 0.0 if before is None else max(0.0, event.time - before)
                waits.append(gap / speed if speed else 0.0)
                before = event.time
            steps += _content(kind, events, waits)
        return steps


def _content(kind: type[_OfTurn], events: Sequence[_OfTurn], waits: Sequence[float]) -> list[Step]:
    """Return the steps for events of one kind in a row."""
    texts = [event.text for event in events if isinstance(event, TextEvent | ThinkingEvent)]
    if kind is TextEvent:
        return [Text(texts, waits)]
    if kind is ThinkingEvent:
        return [Thinking(texts, SIGNATURE, waits)]
    steps: list[Step] = []
    for event, wait in zip(events, waits, strict=True):
        if isinstance(event, ToolCallEvent):
            raw = event.input if isinstance(event.input, str) else None
            given = event.input if isinstance(event.input, dict) else {}
            steps += [Wait(wait), ToolUse(event.name, given, event.id, raw=raw)]
        elif isinstance(event, UsageEvent):
            used = event.usage
            steps.append(
                TokenCounts(
                    used.input_tokens,
                    used.output_tokens,
                    used.cache_write_tokens,
                    used.cache_read_tokens,
                )
            )
    return steps
