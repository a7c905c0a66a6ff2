"""Usage is read from what passes by, wherever that is cut."""

import itertools
import json

from hypothesis import given
from hypothesis import strategies as st

from aideator.broker.usage import UsageReader
from aideator.protocol.events import Usage

START = {"input_tokens": 7, "output_tokens": 1, "cache_creation_input_tokens": 3}
STREAM = (
    "event: message_start\ndata: "
    + json.dumps({"type": "message_start", "message": {"model": "m-1", "usage": START}})
    + '\n\nevent: content_block_delta\ndata: {"type":"content_block_delta","delta":{"text":'
    + json.dumps('a "usage" of: {"usage": {"output_tokens": 99}} — 茶\n\ndata: {"usage": 1}')
    + '}}\n\ndata: {"usage": broken\n\nevent: message_delta\ndata:'
    + json.dumps({"type": "message_delta", "usage": {"output_tokens": 12, "new": "x"}})
    + "\r\n\r\n"
).encode()


def read(*chunks: bytes, streamed: bool = True) -> UsageReader:
    reader = UsageReader(streamed=streamed)
    for chunk in chunks:
        reader.feed(chunk)
    reader.end()
    return reader


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_usage_does_not_depend_on_where_a_stream_is_cut(cuts: list[int]) -> None:
    at = [0, *sorted(cuts), len(STREAM)]
    reader = read(*(STREAM[a:b] for a, b in itertools.pairwise(at)))
    assert reader.model == "m-1"
    assert reader.usage == Usage(input_tokens=7, output_tokens=12, cache_write_tokens=3)


@given(st.integers(0, len(STREAM)))
def test_a_stream_that_breaks_off_counts_what_was_said_by_then(end: int) -> None:
    reader = read(STREAM[:end])
    whole_start = STREAM.index(b"\n\n")
    assert reader.usage.input_tokens == (7 if end >= whole_start else 0)


def test_a_whole_message() -> None:
    body = json.dumps({"model": "m-2", "usage": {"input_tokens": 5, "output_tokens": 6}}).encode()
    reader = read(body[:9], body[9:], streamed=False)
    assert reader.model == "m-2"
    assert reader.usage == Usage(input_tokens=5, output_tokens=6)


def test_what_is_no_count_is_not_counted() -> None:
    nothing: list[object] = [
        None, [], 7, {"input_tokens": "5", "output_tokens": -1}, {"input_tokens": True},
    ]  # fmt: skip
    for usage in nothing:
        event = json.dumps({"type": "message_start", "message": {"model": None, "usage": usage}})
        assert read(b"data: " + event.encode() + b"\n\n").usage == Usage()
    assert read(b"\xff" * 100, streamed=False).usage == Usage()


def test_a_line_without_end_is_not_kept_for_ever() -> None:
    reader = UsageReader(streamed=True)
    for _ in range(40):
        reader.feed(b"x" * 1024 * 1024)
    assert not reader.complete
