"""What a gateway keeps out of events and patches before they are stored."""

import asyncio
import base64
import random
import zlib
from pathlib import Path
from typing import Any

import pytest

from aideator.protocol import (
    AnyEvent,
    CancelledEvent,
    CompletedEvent,
    ErrorCode,
    FailedEvent,
    PatchEvent,
    RetryEvent,
    Secrets,
    StatusEvent,
    TextEvent,
    ToolCallEvent,
    parse_line,
)
from aideator_gateway.runs.backend import BackendError
from aideator_gateway.runs.binary_patch import MAX_BYTES, TooLongError, unpacked
from aideator_gateway.runs.model import CheckResult, CheckStatus
from aideator_gateway.runs.screen import Screen
from tests.support.repositories import git, make_repository

KEY = "sk-ant-0123456789-" + "k" * 180
ENVELOPE: dict[str, Any] = {"run": "run_1", "variation": 1, "time": 1.0}


class Received:
    """A sink that keeps what it gets."""

    def __init__(self) -> None:
        self.events: list[AnyEvent] = []
        self.lines: list[bytes | None] = []
        self.checks: list[CheckResult] = []
        self.errors: list[BackendError] = []

    async def prepared(self, *, commit: str, isolation: str, copies: str | None) -> None:
        raise AssertionError((commit, isolation, copies))

    async def event(self, event: AnyEvent, line: bytes | None = None) -> None:
        self.events.append(event)
        self.lines.append(line)

    async def checked(self, variation_id: int, result: CheckResult) -> None:
        assert variation_id == 1
        self.checks.append(result)

    async def failed(self, variation_id: int, error: BackendError) -> None:
        assert variation_id == 1
        self.errors.append(error)


def screened(*events: AnyEvent, secrets: Secrets | None = None) -> list[AnyEvent]:
    """Return what comes through of an attempt's events."""
    received = Received()
    screen = Screen(received, Secrets([KEY]) if secrets is None else secrets)

    async def send() -> None:
        for event in events:
            await screen.event(event)

    asyncio.run(send())
    return received.events


LINE = (
    b'{"aideator":1,"run":"run_1","variation":1,"time":1,"seq":1,"type":"text","turn":1,"text":%s}'
)


@pytest.mark.parametrize(
    ("text", "carried"),
    [
        (b'"Hm."', True),
        (b'"' + KEY.encode() + b'"', False),
        # A parser reads the last of two, and readers of the line both.
        (b'"' + KEY.encode() + b'","text":"Hm."', False),
        (b'"' + b"".join(b"\\u%04x" % ord(char) for char in KEY) + b'","text":"Hm."', False),
        (b'"' + b"".join(b"\\u%04x" % ord(char) for char in KEY) + b'"', False),
    ],
)
def test_a_line_is_carried_only_if_it_says_no_more_than_its_event(
    text: bytes, carried: bool
) -> None:
    received = Received()
    line = LINE % text
    event = parse_line(line)
    assert event is not None
    asyncio.run(Screen(received, Secrets([KEY])).event(event, line))
    assert received.lines == [line if carried else None]
    assert KEY not in received.events[0].model_dump_json()


def test_without_secrets_every_line_is_carried() -> None:
    received = Received()
    line = LINE % b'"a\\nb"'
    event = parse_line(line)
    assert event is not None
    asyncio.run(Screen(received, Secrets([None])).event(event, line))
    assert received.lines == [line]


def patch_of(diff: bytes, seq: int = 2) -> PatchEvent:
    return PatchEvent(
        **ENVELOPE, seq=seq, type="patch", diff=base64.b64encode(diff).decode(), bytes=len(diff)
    )


def completed(seq: int = 3) -> CompletedEvent:
    return CompletedEvent(
        **ENVELOPE, seq=seq, type="completed", stop_reason="end_turn", turns=4, seconds=2.5
    )


def test_keys_are_hidden_in_every_text_of_an_event() -> None:
    line = '{"aideator":1,"run":"run_1","variation":1,"seq":%d,"time":1,"turn":1,"try":2,"type":%s}'
    events = [
        parse_line(line % (number, kind))
        for number, kind in enumerate(
            (
                f'"text","text":"my {KEY}!"',
                f'"text","text":"fine","later":["{KEY}"]',
                f'"tool_call","id":"a","name":"n","input":{{"{KEY}":["{KEY}",7]}}',
                f'"retry","code":"api_error","message":"{KEY}","wait_seconds":1.5',
                f'"completed","stop_reason":"end_turn","summary":"{KEY}"',
            ),
            start=1,
        )
    ]
    text, extra, call, retry, end = screened(*[event for event in events if event])
    assert isinstance(text, TextEvent)
    assert (text.text, text.turn, text.try_) == ("my ***!", 1, 2)
    assert extra.model_extra == {"later": ["***"]}
    assert isinstance(call, ToolCallEvent)
    assert call.input == {"***": ["***", 7]}
    assert isinstance(retry, RetryEvent)
    assert (retry.code, retry.message, retry.try_) == (ErrorCode.API_ERROR, "***", 2)
    assert isinstance(end, CompletedEvent)
    assert end.summary == "***"


def test_a_withheld_patch_ends_its_attempt_and_seq_has_no_gap() -> None:
    starting = StatusEvent(**ENVELOPE, seq=1, type="status", state="starting")
    sibling = completed(1).model_copy(update={"variation": 2})
    first, notice, patch, end, other = screened(
        starting, patch_of(f"+key = {KEY}\n".encode()), completed(), sibling
    )
    assert first == starting
    assert isinstance(notice, StatusEvent)
    assert isinstance(patch, PatchEvent)
    assert isinstance(end, FailedEvent)
    assert (notice.seq, notice.state, patch.seq, end.seq) == (2, "notice", 3, 4)
    assert (patch.withheld, patch.diff, patch.bytes) == (True, "", len(f"+key = {KEY}\n"))
    assert (end.code, end.turns, end.seconds) == (ErrorCode.SECRET_IN_PATCH, 4, 2.5)
    assert other == sibling


def test_another_ending_stays_where_the_patch_is_withheld() -> None:
    cancelled = CancelledEvent(**ENVELOPE, seq=3, type="cancelled")
    _, patch, end = screened(patch_of(KEY.encode()), cancelled)
    assert isinstance(patch, PatchEvent)
    assert patch.withheld
    assert (type(end), end.seq) == (CancelledEvent, 4)


def test_checks_and_failures_say_no_key() -> None:
    received = Received()
    screen = Screen(received, Secrets([KEY]))
    check = CheckResult(
        status=CheckStatus.PASSED, command="env", exit_code=0, seconds=1, output=f"A={KEY}",
        passed=True,
    )  # fmt: skip

    async def send() -> None:
        await screen.checked(1, check)
        await screen.failed(1, BackendError(ErrorCode.AGENT_CRASHED, f"It said {KEY}"))

    asyncio.run(send())
    assert received.checks == [check.model_copy(update={"output": "A=***"})]
    assert [error.message for error in received.errors] == ["It said ***"]


@pytest.mark.parametrize("before", [b"", b"\0" + random.Random(1).randbytes(3000)])  # noqa: S311
def test_what_git_packs_is_looked_through(tmp_path: Path, before: bytes) -> None:
    repository = make_repository(tmp_path / "repository")
    file = repository / "data.bin"
    if before:
        file.write_bytes(before)
        git(repository, "add", "--all")
        git(repository, "commit", "--quiet", "--message=Data")
    # A key is longer than what a change inserts in one piece.
    file.write_bytes(before[:1500] + b"\0" + KEY.encode() + before[1500:])
    git(repository, "add", "--all")
    diff = f"{git(repository, 'diff', '--cached', '--binary')}\n".encode()
    assert (b"\ndelta " in diff) is bool(before)
    assert KEY.encode() not in diff
    _, patch, _ = screened(patch_of(diff), completed())
    assert isinstance(patch, PatchEvent)
    assert patch.withheld
    assert screened(patch_of(diff), secrets=Secrets(["another-key-0123456"])) == [patch_of(diff)]


def test_more_than_can_be_looked_through_is_withheld() -> None:
    packed = zlib.compress(bytes(MAX_BYTES + 1))
    lines = b"".join(
        b"%c%s\n" % (length + (64 if length < 27 else 70), base64.b85encode(piece, pad=True))
        for piece in (packed[start : start + 52] for start in range(0, len(packed), 52))
        if (length := len(piece))
    )
    diff = b"diff --git a/x b/x\nGIT binary patch\nliteral %d\n%s\n" % (MAX_BYTES + 1, lines)
    with pytest.raises(TooLongError):
        list(unpacked(diff))
    _, patch, _ = screened(patch_of(diff), completed())
    assert isinstance(patch, PatchEvent)
    assert patch.withheld
    # Where there is no key there is nothing to look for.
    assert screened(patch_of(diff), secrets=Secrets(["short"])) == [patch_of(diff)]
