"""Server-sent events, whatever way they are cut and spelled."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aideator.agent.sse import ServerSentEvent, SseDecoder

STREAM = (
    'event: one\ndata: {"a": 1}\n\n'
    ": a comment\n\n"
    "data:first\ndata: second\ndata\n\n"
    "event\nid: 7\nretry: 10\nunknown: x\ndata:  Ünï \U0001f600 \u2028\x0b\x85\n\n"
    "event: lost\n\n\n"
    "data: after\n\n"
)
EVENTS = [
    ("one", '{"a": 1}'),
    ("message", "first\nsecond\n"),
    ("message", " Ünï \U0001f600 \u2028\x0b\x85"),
    ("message", "after"),
]


def decoded(*pieces: bytes, limit: int = 1000) -> list[ServerSentEvent]:
    decoder = SseDecoder(limit)
    return [event for piece in pieces for event in decoder.feed(piece)]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_every_line_end_cut_at_every_byte(end: bytes, mark: bytes) -> None:
    stream = mark + STREAM.encode().replace(b"\n", end)
    assert decoded(stream) == EVENTS
    assert decoded(*(stream[i : i + 1] for i in range(len(stream)))) == EVENTS
    for cut in range(len(stream)):
        assert decoded(stream[:cut], b"", stream[cut:]) == EVENTS


@given(st.lists(st.sampled_from([b"data: x", b"event: y", b":", b"\n", b"\r", b"\r\n", b"\xc3"])))
def test_how_it_is_cut_makes_no_difference(parts: list[bytes]) -> None:
    def result(*pieces: bytes) -> list[ServerSentEvent] | str:
        try:
            return decoded(*pieces)
        except UnicodeDecodeError:
            return "no UTF-8"

    stream = b"".join(parts)
    assert result(stream) == result(*parts) == result(*(bytes([byte]) for byte in stream))


def test_an_event_is_there_as_soon_as_its_last_line_ends() -> None:
    decoder = SseDecoder()
    assert list(decoder.feed(b"data: x\r\n\r")) == [("message", "x")]
    assert list(decoder.feed(b"\ndata: y\n")) == []
    assert list(decoder.feed(b"\n")) == [("message", "y")]


def test_a_mark_elsewhere_is_no_mark() -> None:
    assert decoded(b"\n\xef\xbb\xbfdata: x\n\ndata: y\n\n") == [("message", "y")]


@pytest.mark.parametrize("rest", [b"data: x", b"data: x\n", b"data: x\r\n"])
def test_what_has_no_end_is_no_event(rest: bytes) -> None:
    assert decoded(b"data: a\n\n", rest) == [("message", "a")]


def test_what_is_no_utf_8_is_an_error_and_not_replaced() -> None:
    with pytest.raises(UnicodeDecodeError):
        decoded(b"data: \xff\n\n")


@pytest.mark.parametrize("piece", [b"x", b"data: x\n", b"data: " + b"x" * 50 + b"\n"])
def test_an_event_is_bounded(piece: bytes) -> None:
    with pytest.raises(ValueError, match="longer than 1000 bytes"):
        decoded(*[piece] * 1001)


def test_a_stream_is_not() -> None:
    pieces = itertools.repeat([b": keep-alive\n", b"event: a\n", b"id: 1\n", b"x: y\n"], 1000)
    assert decoded(*itertools.chain.from_iterable(pieces), b"data: x\n\n") == [("a", "x")]
    assert len(decoded(*[b"data: x\n\n"] * 1000)) == 1000
