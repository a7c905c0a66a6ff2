"""Programs that the gateway waits for: what they are given, and that they go for certain."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aideator_gateway.backends.children import (
    KEPT_BYTES,
    Ended,
    kill,
    plain_environment,
    run,
    start,
)
from tests.support.processes import argument_lists

SECONDS = 30.0

FAMILY = "sleep {mark} & sleep {mark}; :"
"""A program with a child of its own; the mark is in both argument lists."""


def shell(script: str, *words: str, seconds: float = SECONDS, **environment: str) -> Ended:
    given = plain_environment() | environment
    return asyncio.run(run("sh", "-c", script, "sh", *words, environment=given, seconds=seconds))


def wait_gone(mark: str) -> None:
    deadline = time.monotonic() + SECONDS
    while left := [words for words in argument_lists().values() if mark.encode() in words]:
        assert time.monotonic() < deadline, left
        time.sleep(0.02)


def wait_started(mark: str) -> None:
    deadline = time.monotonic() + SECONDS
    while sum(mark.encode() in words.split(b"\0") for words in argument_lists().values()) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def wait_asleep(number: int) -> None:
    stat, deadline = Path(f"/proc/{number}/stat"), time.monotonic() + SECONDS
    while stat.read_text().rpartition(")")[2].split()[0] != "S":
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_code_and_words_come_back() -> None:
    ended = shell('echo "$1"; echo bad >&2; exit 3', "a  'b'\n*")
    assert ended == Ended(3, b"a  'b'\n*\n", b"bad\n")
    assert ended.said == "bad"


def test_a_signal_is_an_exit_code() -> None:
    assert shell("kill -KILL $$").code == 128 + signal.SIGKILL


def test_it_has_no_input_and_a_session_of_its_own() -> None:
    ended = shell('cat; ps -o sid= -p $$ 2>/dev/null || cut -d" " -f6 /proc/$$/stat')
    assert int(ended.stdout) != os.getsid(0)


def test_the_environment_is_what_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIDEATOR_TOKEN", "canary")
    said = shell("env", GIVEN="yes").stdout.decode()
    names = {line.split("=")[0] for line in said.splitlines()}
    # A shell keeps account of where it is.
    assert names - {"PWD", "OLDPWD", "SHLVL", "_"} == {"PATH", "LC_ALL", "GIVEN"}


def test_of_much_output_the_end_is_kept() -> None:
    ended = shell("yes | head -c 3000000; echo last")
    assert len(ended.stdout) == KEPT_BYTES
    assert ended.stdout.endswith(b"\nlast\n")


def test_one_whose_output_nobody_reads_is_killed() -> None:
    async def until_full() -> int | None:
        process = await start("yes", stdout=asyncio.subprocess.PIPE, limit=1024)
        assert process.stdout
        # Asyncio stops reading at twice the limit; then the pipe fills, and the program waits.
        await process.stdout.readexactly(1)
        await asyncio.to_thread(wait_asleep, process.pid)
        await asyncio.wait_for(kill(process), SECONDS)
        return process.returncode

    assert asyncio.run(until_full()) == -signal.SIGKILL


def test_a_program_that_is_missing_is_named() -> None:
    with pytest.raises(FileNotFoundError, match="no-such-program"):
        asyncio.run(run("no-such-program", environment=plain_environment(), seconds=1))


def test_one_that_takes_too_long_goes_with_what_it_started() -> None:
    with pytest.raises(TimeoutError):
        shell(FAMILY.format(mark="987.001"), seconds=0.5)
    wait_gone("987.001")


def test_one_that_nobody_waits_for_goes_with_what_it_started_and_its_pipes() -> None:
    async def scene() -> None:
        # Far more than is read ahead is on its way when it is cancelled.
        script = "yes & " + FAMILY.format(mark="987.002")
        work = asyncio.create_task(
            run("sh", "-c", script, environment=plain_environment(), seconds=SECONDS)
        )
        await asyncio.to_thread(wait_started, "987.002")
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work

    asyncio.run(scene())
    wait_gone("987.002")
    gc.collect()  # A pipe left open warns here, and warnings are errors.


def test_one_that_is_cancelled_while_it_starts_comes_back_and_is_gone() -> None:
    async def scene() -> None:
        for steps in range(20):
            words = ("sh", "-c", FAMILY.format(mark="987.004"))
            work = asyncio.create_task(
                run(*words, environment=plain_environment(), seconds=SECONDS)
            )
            for _ in range(steps):
                await asyncio.sleep(0)
            work.cancel()
            done, _ = await asyncio.wait([work], timeout=SECONDS)
            assert done, steps

    asyncio.run(scene())
    wait_gone("987.004")
    gc.collect()


def test_what_reads_its_output_can_end_it() -> None:
    async def three_bytes(stream: asyncio.StreamReader | None) -> bytes:
        assert stream is not None
        raise ValueError(await stream.readexactly(3))

    words = ("sh", "-c", f"printf abc; {FAMILY.format(mark='987.005')}")
    with pytest.raises(ValueError, match="abc"):
        asyncio.run(run(*words, environment=plain_environment(), seconds=SECONDS, read=three_bytes))
    wait_gone("987.005")


def test_what_reads_its_output_can_end_it_while_much_is_left_to_read() -> None:
    """asyncio then reads no further by itself, and waits for the end of the pipe."""

    async def no_more(stream: asyncio.StreamReader | None) -> bytes:
        assert stream is not None
        # Nothing more is taken from the pipe once this much has not been asked for.
        while len(stream._buffer) <= 2 * stream._limit:  # type: ignore[attr-defined]  # noqa: ASYNC110 - asyncio tells nobody
            await asyncio.sleep(0)
        raise ValueError("enough")

    async def scene() -> None:
        work = run("yes", environment=plain_environment(), seconds=SECONDS, read=no_more)
        with pytest.raises(ValueError, match="enough"):
            await asyncio.wait_for(work, SECONDS)

    asyncio.run(scene())
    gc.collect()


def test_it_goes_when_the_one_who_started_it_is_killed() -> None:
    program = (
        "import asyncio\n"
        "from aideator_gateway.backends.children import plain_environment, run\n"
        f"words = ('sh', '-c', {FAMILY.format(mark='987.003')!r})\n"
        "asyncio.run(run(*words, environment=plain_environment(), seconds=600))\n"
    )
    with subprocess.Popen([sys.executable, "-c", program]) as process:
        wait_started("987.003")
        process.kill()
    wait_gone("987.003")
