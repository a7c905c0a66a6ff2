"""A request's body, within its bounds."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pydantic_core

from aideator.broker.asgi import ClientGoneError, Receive
from aideator.broker.refusals import Refused
from aideator.protocol.broker import Bounds


@dataclass(frozen=True)
class Body:
    """What an agent asks for."""

    value: dict[str, Any]
    data: bytes
    """``value`` as JSON, written anew: what was looked at is what is sent. (Of a name that
    comes twice readers take the first or the last.)"""


async def read_body(receive: Receive, declared: bytes | None, bounds: Bounds) -> Body:
    """Read a body to its end.

    Parameters
    ----------
    declared
        The header ``content-length``, if there is one.

    Raises
    ------
    Refused
        It is too long, too slow, or no JSON object.
    ClientGoneError
        It does not come to its end.
    """
    too_long = Refused(
        413, "body_too_long", f"The request is longer than {bounds.body_bytes} bytes."
    )
    if declared is not None and int(declared) > bounds.body_bytes:
        raise too_long
    data = bytearray()
    try:
        async with asyncio.timeout(bounds.body_seconds):
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGoneError
                data += message.get("body", b"")
                if len(data) > bounds.body_bytes:
                    raise too_long
                more = message.get("more_body", False)
    except TimeoutError:
        text = f"The request did not arrive within {bounds.body_seconds:g} s."
        raise Refused(408, "body_too_slow", text) from None
    return _parsed(bytes(data))


def _parsed(data: bytes) -> Body:
    try:
        value = pydantic_core.from_json(data, allow_inf_nan=False)
        if not isinstance(value, dict):
            raise Refused(400, "no_object", "The request body must be a JSON object.")
        return Body(value, pydantic_core.to_json(value, inf_nan_mode="strings"))
    except (ValueError, RecursionError):
        # The parser's text repeats nothing of the body, but says where in it; agents know.
        raise Refused(400, "no_json", "The request body is not valid JSON.") from None
