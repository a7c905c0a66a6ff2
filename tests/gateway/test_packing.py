"""How a run's log is kept: as clients are sent it, in stretches, with patches beside it."""

import asyncio
import base64
import json
import random
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from aideator.protocol import (
    AnyEvent,
    CompletedEvent,
    ErrorCode,
    FailedEvent,
    Limits,
    PatchEvent,
    RetryEvent,
    Status,
    StatusEvent,
    TextEvent,
    ThinkingEvent,
    ToolCallEvent,
    ToolResultEvent,
    Usage,
    UsageEvent,
    WaitEvent,
    parse_line,
)
from aideator_gateway.runs.frames import MAX_CONTENT, STREAM_EVENTS, check_frame, end_frame, frame
from aideator_gateway.runs.model import CheckResult
from aideator_gateway.runs.packing import SEGMENT_BYTES, pack
from aideator_gateway.runs.records import as_line, as_record
from aideator_gateway.runs.saved_log import PAGE_BYTES
from aideator_gateway.runs.store import Store
from aideator_gateway.runs.stored import Record
from aideator_gateway.runs.tail import TAIL_BYTES, Tail
from tests.support.event_logs import END, opened_log, said
from tests.support.scripted_backend import REQUEST
from tests.support.stored_logs import parsed, stored_frames

ENVELOPE: dict[str, Any] = {"run": "a", "variation": 1, "seq": 1, "time": 1.5}
OF_TURN: dict[str, Any] = {**ENVELOPE, "turn": 2}
USAGE = Usage(input_tokens=3, output_tokens=4)

EVENTS: list[AnyEvent] = [
    StatusEvent(**ENVELOPE, type="status", state="starting", message="\u2028 ü"),
    TextEvent(**OF_TURN, type="text", text='Two\n\nlines, "quoted".'),
    ThinkingEvent(**OF_TURN, type="thinking", text="id: 7\nevent: end\n\nid: 8\n"),
    ToolCallEvent(**OF_TURN, type="tool_call", id="t", name="search", input={"a": [1, None]}),
    ToolResultEvent(**OF_TURN, type="tool_result", id="t", name="search", content="found"),
    UsageEvent(**OF_TURN, type="usage", usage=USAGE, total=USAGE),
    RetryEvent(
        **OF_TURN, type="retry", code=ErrorCode.OVERLOADED, message="Busy.", wait_seconds=0.5
    ),
    WaitEvent(**OF_TURN, type="wait", cause="busy", seconds=1.5, message="Wait."),
    PatchEvent(**ENVELOPE, type="patch", diff=base64.b64encode(b"diff").decode(), bytes=4),
    CompletedEvent(**ENVELOPE, type="completed", stop_reason="end_turn", summary="Done."),
    FailedEvent(**ENVELOPE, type="failed", code=ErrorCode.TIMED_OUT, message="Too long."),
]


def described(one: bytes) -> tuple[str, BaseModel, dict[str, Any]]:
    """Return name, model and data of a frame; the model takes no fields that it does not have."""
    (found,) = parsed(b"id: 1\n" + one)
    model = STREAM_EVENTS[found.event]
    names = {field.alias or name for name, field in model.model_fields.items()}
    assert set(found.data) <= names
    return found.event, model.model_validate(found.data), found.data


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type)
def test_what_clients_see_is_what_the_description_says(event: AnyEvent) -> None:
    _, model, data = described(frame(event))
    again = model.model_dump(mode="json", exclude_none=False)
    assert {name: value for name, value in again.items() if value is not None} == data


def test_the_short_way_for_text_makes_what_the_long_way_does() -> None:
    for text in ("", 'a "b" \\ \n\t\x00\x7f\u2028 ü 😀', "x" * 1000):
        for time in (1.5, 1.7e9 + 0.123456, 1e22, 0.0):
            said = TextEvent(**{**OF_TURN, "time": time}, type="text", text=text)
            thought = ThinkingEvent(**{**OF_TURN, "time": time}, type="thinking", text=text)
            expected = frame(thought).replace(b'"thinking"', b'"agent_output"', 1)
            assert frame(said) == expected


def test_a_cost_that_is_not_known_is_told_as_such() -> None:
    _, _, data = described(frame(EVENTS[5]))
    assert data["usage"]["cost_usd"] is None


def test_ends_and_checks_are_as_described() -> None:
    name, _, data = described(end_frame(Status.FAILED, ErrorCode.DISK_FULL, "Full."))
    assert (name, data) == ("end", {"status": "failed", "code": "disk_full", "message": "Full."})
    _, _, data = described(end_frame(Status.COMPLETED))
    assert data == {"status": "completed"}
    result = CheckResult.model_validate(
        {"command": "true", "exit_code": None, "seconds": 1.0, "output": "", "passed": False}
    )
    name, _, data = described(check_frame(2, result.model_dump(mode="json"), 3.0))
    assert (name, data["variation_id"], data["time"]) == ("check", 2, 3.0)
    assert "exit_code" not in data


@pytest.mark.parametrize(
    "event",
    [
        TextEvent(**OF_TURN, type="text", text="ü" * 3_000_000),
        ToolCallEvent(
            **OF_TURN,
            type="tool_call",
            id="i" * 9_000_000,
            name="n" * 9_000_000,
            input="x" * 9_000_000,
        ),
        CompletedEvent(
            **ENVELOPE, type="completed", stop_reason="end_turn", summary="s" * 9_000_000
        ),
    ],
    ids=lambda event: event.type,
)
def test_no_frame_is_larger_than_readers_can_bear(event: AnyEvent) -> None:
    assert len(frame(event)) < 4 * MAX_CONTENT


def test_a_log_is_read_alike_from_every_place_and_in_pages(tmp_path: Path) -> None:
    lots = random.Random(1)  # noqa: S311 - no secret, a case

    async def scenario() -> None:
        store = Store(tmp_path / "x.db")
        async with opened_log(store, "a") as log:
            for number in range(300):
                size = lots.choice([1, 50, 2000, 20_000])
                await log.append("a", 1, said(f"{number} " + "x" * size))
                if not number % 7:
                    await asyncio.sleep(0)
            await asyncio.wait_for(await log.append("a", None, END, final=True), 60)
            whole = await stored_frames(store, "a")
            assert [one.position for one in whole] == list(range(1, 302))
            pages = 0
            after = 0
            while page := await store.segment("a", after):
                assert len(page.frames) <= PAGE_BYTES + SEGMENT_BYTES + 21_000
                after = page.last
                pages += 1
            assert pages > 5
            for start in range(301):
                found = await store.segment("a", start)
                assert found is not None
                assert found.first == start + 1
                assert parsed(found.frames) == whole[start : found.last]
            assert await store.segment("a", 301) is None

    asyncio.run(scenario())


def test_a_tail_gives_what_the_database_does_as_far_as_it_goes() -> None:
    tail = Tail()
    assert (tail.last, tail.ends, tail.segment(0)) == (0, False, None)
    position = 0
    for size in (10, 30, 20):
        packed = pack("a", position, [(1, said("x" * 30_000)) for _ in range(size)])
        tail.add(packed.segments)
        position += size
    first = next(after for after in range(60) if tail.segment(after)) + 1
    assert 60 - TAIL_BYTES // 30_000 - SEGMENT_BYTES // 30_000 - 1 <= first <= 60
    for after in range(first - 1, 60):
        segment = tail.segment(after)
        assert segment is not None
        assert [one.position for one in parsed(segment.frames)] == list(
            range(after + 1, segment.last + 1)
        )
    assert tail.segment(60) is None
    # Another gateway wrote 61 to 70.
    tail.add(pack("a", 70, [(None, END)]).segments)
    assert tail.segment(60) is None
    assert tail.ends
    assert (segment := tail.segment(70)) is not None
    assert segment.ends


def test_a_patch_is_kept_beside_the_log_and_stands_in_the_transcript(tmp_path: Path) -> None:
    """Ten megabytes are in no page of the log, and come back to the letter."""
    diff = random.Random(2).randbytes(10_000_000)  # noqa: S311 - no secret, a case
    event = PatchEvent(
        **ENVELOPE, type="patch", diff=base64.b64encode(diff).decode(), bytes=len(diff), files=1
    )
    line = as_line(event)

    async def scenario() -> None:
        store = Store(tmp_path / "x.db")
        async with opened_log(store, "a") as log:
            await log.append("a", 1, said("before"))
            await log.append("a", 1, as_record(event, line))
            await log.append("a", 2, said("the other one"))
            await log.append("a", 1, said("behind"))
            await asyncio.wait_for(await log.append("a", None, END, final=True), 60)
            log_bytes = 0
            after = 0
            while page := await store.segment("a", after):
                log_bytes += len(page.frames)
                after = page.last
            assert log_bytes < 2000
            assert b"".join([piece async for piece in store.patch("a", 1)]) == diff
            assert [piece async for piece in store.patch("a", 2)] == []
            parts = [part async for part in store.transcript("a", 1)]
            assert max(map(len, parts)) < 400_000
            before, patch, behind = b"".join(parts).splitlines()
            assert (json.loads(before), json.loads(behind)) == ("before", "behind")
            assert parse_line(patch) == event
            assert [await store.has_patch("a", number) for number in (1, 2)] == [True, False]
            lines = [found async for found in store.lines("a", 1, newest_first=True)]
            assert [json.loads(lines[0]), json.loads(lines[2])] == ["behind", "before"]

    asyncio.run(scenario())


def test_an_empty_patch_is_one(tmp_path: Path) -> None:
    event = PatchEvent(**ENVELOPE, type="patch")

    async def scenario() -> None:
        store = Store(tmp_path / "x.db")
        async with opened_log(store, "a") as log:
            await (await log.append("a", 1, as_record(event, as_line(event))))
            assert [piece async for piece in store.patch("a", 1)] == []
            assert await store.has_patch("a", 1)
            (line,) = [found async for found in store.lines("a", 1)]
            assert parse_line(line) == event

    asyncio.run(scenario())


def test_an_agents_line_is_carried_as_it_is(tmp_path: Path) -> None:
    line = b'{"aideator":1, "run":"a","variation":1,"seq":1,"time":1,"type":"status","state":"s"}'
    event = parse_line(line)
    assert event is not None

    async def scenario() -> None:
        store = Store(tmp_path / "x.db")
        await store.open()
        await store.create_run("a", REQUEST, limits=Limits(), model="m", scripted=True)
        await store.append([pack("a", 0, [(1, as_record(event, line))])], [])
        assert b"".join([part async for part in store.transcript("a", 1)]) == line + b"\n"
        await store.aclose()

    asyncio.run(scenario())


def test_the_end_is_a_segment_of_its_own() -> None:
    packed = pack("a", 4, [(1, said("x")), (None, END)])
    assert [(one.first, one.last, one.ends) for one in packed.segments] == [
        (5, 5, False), (6, 6, True),
    ]  # fmt: skip
    assert pack("a", 4, []).segments == []
    alone = pack("a", 0, [(None, Record(b"event: end\ndata: {}\n\n", ends=True))])
    assert [one.ends for one in alone.segments] == [True]
