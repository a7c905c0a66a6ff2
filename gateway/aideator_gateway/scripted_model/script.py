"""The steps that a scripted reply is made of.

A reply is a list or tuple of steps, played in order over one response of the Messages API.
A reply whose last step does not end it is ended by a fitting ``Stop``.

A content block stays open until the next one starts, ``EndBlock`` or a ``Stop``: what comes
between (``Drop``, ``Hang``, ``StreamError`` …) therefore strikes inside the block. The
response starts with the first step that sends something, so a reply that starts with
``Wait``, ``Hang`` or ``Drop`` has sent no byte, not even a status line, at that point.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# About what a tokenizer makes of prose and code; joined they are the text again.
_TOKEN = re.compile(r"\s*\S{1,12}|\s+")


def tokens(text: str) -> list[str]:
    """Split text into token-like pieces that make up the whole of it."""
    return _TOKEN.findall(text)


@dataclass(frozen=True)
class Text:
    """A text block, one delta a token.

    Parameters
    ----------
    text
        Split into token-like deltas; a sequence of strings is sent as just those deltas.
    pace
        Seconds between deltas; or, as a sequence, the seconds before each of them.
    stamp
        Put the time of sending in front of each delta, as ``t=<seconds since the epoch>``
        and a space, so that a reader can tell how long it took to arrive.
    """

    text: str | Sequence[str]
    pace: float | Sequence[float] = 0.0
    stamp: bool = False


@dataclass(frozen=True)
class Thinking:
    """A thinking block and its signature; ``text`` and ``pace`` as in ``Text``."""

    text: str | Sequence[str]
    signature: str = "sig"
    pace: float | Sequence[float] = 0.0


@dataclass(frozen=True)
class ToolUse:
    """A call of a tool.

    Parameters
    ----------
    id
        The call's id; by default one that is unique in its conversation.
    pieces
        Number of deltas that the input's JSON is cut into.
    raw
        Sent in place of the input's JSON, for input that is cut off or no JSON at all.
    pace
        Seconds between deltas.
    """

    name: str
    input: Mapping[str, Any] = field(default_factory=dict)
    id: str | None = None
    pieces: int = 8
    raw: str | None = None
    pace: float = 0.0


@dataclass(frozen=True)
class Block:
    """A content block of any type, complete in its first event: unknown types, for one."""

    content: Mapping[str, Any]


@dataclass(frozen=True)
class EndBlock:
    """End the open content block now; without one, nothing is sent."""


@dataclass(frozen=True)
class TokenCounts:
    """Tokens that the response says it used, wherever it stands among the steps.

    Without this step they are words, counted in the request and in the reply.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int = 0


@dataclass(frozen=True)
class Model:
    """Name of the model that the response says it is from; else the one asked for."""

    name: str


@dataclass(frozen=True)
class Ping:
    """A ``ping`` event."""


@dataclass(frozen=True)
class Wait:
    """Send nothing for so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Raw:
    """Bytes of the stream's body as they are; left out where no stream was asked for."""

    data: bytes


@dataclass(frozen=True)
class Stop:
    """End the message (``message_delta``, ``message_stop``) and the response.

    ``details`` is the message's ``stop_details``, which explains a refusal.
    """

    reason: str = "end_turn"
    details: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class StopLeaveOpen:
    """End the message as ``Stop`` does, but neither the response nor the connection."""

    reason: str = "end_turn"
    details: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class HttpError:
    """An answer with an error status in place of a message.

    ``details`` goes into the error object; ``body`` replaces the API's JSON, for what a
    proxy in between would answer.
    """

    status: int
    type: str
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, Any] | None = None
    body: bytes | None = None


@dataclass(frozen=True)
class StreamError:
    """An ``error`` event in a stream that began with status 200, which then ends."""

    type: str
    message: str


@dataclass(frozen=True)
class Drop:
    """Close the connection at once, with a TCP reset if ``reset``."""

    reset: bool = False


@dataclass(frozen=True)
class EndWithoutStop:
    """End the response properly, though its message is not complete."""


@dataclass(frozen=True)
class Hang:
    """Keep the connection open and send nothing, until client or server closes it."""


Ending = Stop | StopLeaveOpen | HttpError | StreamError | Drop | EndWithoutStop | Hang
Step = (
    Text | Thinking | ToolUse | Block | EndBlock | TokenCounts | Model | Ping | Wait | Raw | Ending
)
Reply = Sequence[Step]

_SENDS = Text | Thinking | ToolUse | Block | Ping | Raw


def complete(reply: Reply) -> list[Step]:
    """Return the reply's steps, the last of which ends it.

    Raises
    ------
    ValueError
        If steps follow one that ends the reply, or an ``HttpError`` one that sends.
    """
    steps = list(reply)
    for position, step in enumerate(steps[:-1], start=1):
        if isinstance(step, Ending):
            raise ValueError(  # noqa: TRY004 - a step in the wrong place, not of a wrong type
                f"Step {position} ({type(step).__name__}) ends the reply; "
                f"remove the {len(steps) - position} after it."
            )
    if not steps or not isinstance(steps[-1], Ending):
        called = any(isinstance(step, ToolUse) for step in steps)
        steps.append(Stop("tool_use" if called else "end_turn"))
    elif isinstance(steps[-1], HttpError) and any(isinstance(step, _SENDS) for step in steps):
        raise ValueError(
            "An HttpError comes before anything is sent; inside a stream, use StreamError."
        )
    return steps
