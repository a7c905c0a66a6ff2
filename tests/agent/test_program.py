"""The program as a harness starts it: arguments, environment, signals, what it leaves."""

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aideator.protocol import (
    MAX_LINE_BYTES,
    CancelledEvent,
    ErrorCode,
    StatusEvent,
    StopReason,
    ToolCallEvent,
    parse_line,
)
from aideator_gateway.scripted_model.script import Hang, Text, ToolUse
from tests.agent.conftest import Play
from tests.agent.sandbox import KEY, Sandbox

CREATE = ToolUse(
    "str_replace_based_edit_tool", {"command": "create", "path": "new.txt", "file_text": "new\n"}
)


SLOW_IMPORT = """
import sys, time

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name in ("httpx2", "pydantic"):
            time.sleep(1)

sys.meta_path.insert(0, Finder())
"""


def wait_for(process: "subprocess.Popen[bytes]", word: bytes) -> bytes:
    """Read the program's lines up to one that has ``word``, and return them."""
    assert process.stdout is not None
    lines = b""
    while word not in lines:
        line = process.stdout.readline()
        assert line, lines
        lines += line
    return lines


def test_the_first_line_comes_before_anything_heavy(sandbox: Sandbox, play: Play) -> None:
    # Two seconds more for what is heavy: a machine that is busy starts Python slowly, too.
    added = sandbox.directory / "added"
    added.mkdir()
    (added / "sitecustomize.py").write_text(SLOW_IMPORT)
    model = play([Text("Done.")])
    before = time.time()
    process = sandbox.start(model.base_url, environment={"PYTHONPATH": str(added)})
    outcome = sandbox.finish(process)
    first, second = outcome.of(StatusEvent)
    assert (first.seq, first.state) == (1, "starting")
    assert second.state == "working"
    assert first.time - before < second.time - first.time


@pytest.mark.parametrize("how", ["signal", "stdin"])
def test_told_to_stop_it_hands_over_what_it_has(sandbox: Sandbox, play: Play, how: str) -> None:
    model = play([CREATE], [Text("slow " * 400, pace=0.05)])
    process = sandbox.start(model.base_url, options=("--watch-stdin",))
    wait_for(process, b"slow")
    before = time.monotonic()
    sandbox.tell_to_stop(process, how)
    outcome = sandbox.finish(process, seconds=5)
    assert time.monotonic() - before < 1
    assert outcome.exit_code == 0
    assert outcome.stderr == ""
    assert isinstance(outcome.end, CancelledEvent)
    assert outcome.patch.files == 1
    assert outcome.events[-2] == outcome.patch
    assert (outcome.output / "changes.patch").read_bytes() == outcome.patch.content()
    assert json.loads((outcome.output / "result.json").read_text())["type"] == "cancelled"


@pytest.mark.parametrize("seconds", [0.0, 0.1, 0.3, 0.8])
def test_told_to_stop_while_it_starts(sandbox: Sandbox, play: Play, seconds: float) -> None:
    model = play([Hang()])
    process = sandbox.start(model.base_url)
    wait_for(process, b"starting")
    time.sleep(seconds)
    process.terminate()
    before = time.monotonic()
    # What was read above is missing from stdout, but not from the transcript.
    outcome = sandbox.finish(process, seconds=5)
    assert time.monotonic() - before < 1
    assert outcome.exit_code == 0
    assert isinstance(outcome.end, CancelledEvent)
    assert outcome.patch.bytes == 0


def test_told_to_stop_in_the_middle_of_its_first_line(sandbox: Sandbox) -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(write, b"\n" * 4096)
    os.set_blocking(write, True)
    process = sandbox.start(None, stdout=write)
    os.close(write)
    # Opened just before the first line, which now waits for a reader.
    while not (sandbox.output / "transcript.jsonl").exists():
        time.sleep(0.01)
    time.sleep(0.2)
    process.terminate()
    time.sleep(0.2)
    with os.fdopen(read, "rb") as stdout:
        lines = stdout.read().splitlines()
    outcome = sandbox.finish(process, seconds=5)
    assert outcome.exit_code == 0
    assert outcome.stderr == ""
    assert isinstance(outcome.end, CancelledEvent)
    assert [parse_line(line) for line in lines if line] == outcome.events


def test_twice_told_to_stop_is_told_once(sandbox: Sandbox, play: Play) -> None:
    process = sandbox.start(play([Hang()]).base_url)
    wait_for(process, b"working")
    for _ in range(5):
        process.terminate()
        time.sleep(0.01)
    outcome = sandbox.finish(process, seconds=5)
    assert outcome.exit_code == 0
    assert isinstance(outcome.end, CancelledEvent)


def test_nobody_listening_is_no_reason_to_stop(sandbox: Sandbox, play: Play) -> None:
    model = play([Text("words " * 2000)], [Text("Done.")])
    process = sandbox.start(model.base_url)
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    outcome = sandbox.finish(process)
    assert outcome.exit_code == 0
    assert outcome.completed.stop_reason is StopReason.END_TURN


def test_plain_text_for_a_person(sandbox: Sandbox, play: Play) -> None:
    model = play([Text("Let me see. " * 40), CREATE], [Text("Done.")])
    outcome = sandbox.finish(sandbox.start(model.base_url, events="text"))
    lines = outcome.stdout.decode().split("\n")
    assert lines[0] == "[starting] The agent starts."
    assert max(map(len, lines)) <= 260
    assert lines[-6].startswith('> str_replace_based_edit_tool {"command": "create"')
    assert lines[-5] == "< Created new.txt (1 lines)."
    assert lines[-4] == "Done."
    assert lines[-3].startswith("[patch] ")
    assert lines[-2].startswith("[completed] end_turn (2 turns, ")


def test_no_child_sees_the_key_and_nothing_but_the_task_says_where_it_goes(
    sandbox: Sandbox, play: Play
) -> None:
    elsewhere = play([Text("Wrong place.")])
    spy = sandbox.directory / "bin" / "git"
    spy.parent.mkdir()
    spy.write_text(f'#!/bin/sh\nenv >> {sandbox.directory}/seen\nPATH={os.environ["PATH"]}\n'
                   'exec git "$@"\n')  # fmt: skip
    spy.chmod(0o755)
    config = sandbox.directory / "config"
    (config / "configs").mkdir(parents=True)
    (config / "configs" / "default.json").write_text(json.dumps({"base_url": elsewhere.base_url}))
    model = play([CREATE], [Text("Done.")])
    outcome = sandbox.finish(
        sandbox.start(
            model.base_url,
            environment={
                "PATH": f"{spy.parent}:{os.environ['PATH']}",
                "ANTHROPIC_BASE_URL": elsewhere.base_url,
                "ANTHROPIC_CONFIG_DIR": str(config),
                "ANTHROPIC_PROFILE": "default",
                "ANTHROPIC_CUSTOM_HEADERS": "x-smuggled: 1",
            },
        )
    )
    assert outcome.completed
    assert elsewhere.requests == []
    assert "x-smuggled" not in model.requests[0].headers
    seen = (sandbox.directory / "seen").read_text()
    assert "GIT_DIR=" in seen
    assert KEY not in seen
    assert "ANTHROPIC" not in seen


def test_a_server_without_keys_is_asked_without_one(sandbox: Sandbox, play: Play) -> None:
    model = play([Text("Done.")])
    assert sandbox.run(model.base_url, secrets={}).completed
    assert model.requests[0].headers["authorization"] == "Bearer none"


def test_an_auth_token_does_too(sandbox: Sandbox, play: Play) -> None:
    model = play([Text("Done.")])
    outcome = sandbox.run(model.base_url, secrets={"ANTHROPIC_AUTH_TOKEN": f"{KEY}-token"})
    assert outcome.completed
    assert model.requests[0].headers["authorization"] == f"Bearer {KEY}-token"


def test_without_a_key_the_public_api_is_not_asked(sandbox: Sandbox) -> None:
    outcome = sandbox.run(None, secrets={})
    assert outcome.failed.code is ErrorCode.MISSING_API_KEY
    assert outcome.patch.bytes == 0


def test_without_git(sandbox: Sandbox) -> None:
    given = {"PATH": str(sandbox.directory)}
    outcome = sandbox.finish(sandbox.start("http://127.0.0.1:9", environment=given))
    assert outcome.exit_code == 0
    assert outcome.failed.code is ErrorCode.GIT_MISSING


@pytest.mark.parametrize(
    ("task", "environment", "reason"),
    [
        (
            '{"prompt": "", "x": 1}',
            {},
            "prompt: String should have at least 1 character.; x: This field is",
        ),
        ('{"prompt": "x"}', {"AIDEATOR_MAX_MEMORY_BYTES": "4G"}, "AIDEATOR_MAX_MEMORY_BYTES must"),
    ],
)
def test_a_task_that_is_none_is_a_failure_with_words(
    sandbox: Sandbox, task: str, environment: dict[str, str], reason: str
) -> None:
    process = sandbox.start("http://127.0.0.1:9", environment=environment)
    (sandbox.directory / "task.json").write_text(task)
    outcome = sandbox.finish(process)
    assert outcome.exit_code == 0
    assert outcome.failed.code is ErrorCode.INVALID_REQUEST
    assert reason in outcome.failed.message


def test_a_git_directory_that_is_none(sandbox: Sandbox, play: Play) -> None:
    (sandbox.git_dir / "HEAD").unlink()
    outcome = sandbox.run(play([CREATE], [Text("Done.")]).base_url)
    assert outcome.failed.code is ErrorCode.SANDBOX_FAILED
    assert "not a git repository" in outcome.failed.message


def test_a_full_disk_ends_it_and_is_told(sandbox: Sandbox, play: Play) -> None:
    # The limit on a file's size stands in for a full disk: the transcript cannot grow.
    model = play([CREATE, Text("words " * 200)], [Text("Done.")])
    process = sandbox.start(model.base_url, environment={"AIDEATOR_MAX_FILE_BYTES": "2000"})
    stdout, stderr = process.communicate(timeout=30)
    events = [parse_line(line) for line in stdout.splitlines()]
    last = events[-1]
    assert last is not None
    assert last.type == "failed"
    assert last.code is ErrorCode.DISK_FULL
    assert [event.seq for event in events if event] == list(range(1, len(events) + 1))
    assert process.returncode == 0
    assert stderr == b""


def test_too_little_memory_ends_it_and_is_told(sandbox: Sandbox, play: Play) -> None:
    sandbox.put("large", "\U0001f600" + "xy\n" * 5_000_000)
    view = {"command": "view", "path": "large"}
    model = play([ToolUse("str_replace_based_edit_tool", view)], [Text("Done.")])
    given = {"AIDEATOR_MAX_MEMORY_BYTES": str(400 * 1024 * 1024)}
    outcome = sandbox.finish(sandbox.start(model.base_url, environment=given))
    assert outcome.exit_code == 0
    assert outcome.failed.code is ErrorCode.SANDBOX_FAILED
    assert "memory limit" in outcome.failed.message


def test_limits_are_set_and_never_raised() -> None:
    program = (
        "import resource\n"
        "from aideator.agent.sandbox import limit_resources\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))\n"
        "limit_resources({'AIDEATOR_MAX_PROCESSES': '50'})\n"
        "for name in ('CORE', 'NOFILE', 'AS', 'FSIZE', 'NPROC'):\n"
        "    print(resource.getrlimit(getattr(resource, f'RLIMIT_{name}'))[0])\n"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout
    core, files, memory, size, processes = map(int, out.split())
    assert (core, files, processes) == (0, 100, 50)
    assert memory <= 4 * 1024**3
    assert size <= 2 * 1024**3


def test_what_is_too_long_for_one_event_is_cut(sandbox: Sandbox, play: Play) -> None:
    # Each of these characters takes six bytes in JSON.
    call = ToolUse("list_files", raw="\x01" * 6_000_000, pieces=10)
    outcome = sandbox.run(play([call], [Text("Done.")]).base_url)
    assert outcome.completed
    (told,) = outcome.of(ToolCallEvent)
    assert told.input.endswith("… [cut: 6000000 characters are too many for one event]")
    lines = (outcome.output / "transcript.jsonl").read_bytes().splitlines()
    assert max(map(len, lines)) < MAX_LINE_BYTES


def test_a_response_without_end_is_broken_off(sandbox: Sandbox, play: Play) -> None:
    model = play(*[[ToolUse("list_files", raw="x" * 9_000_000, pieces=100)]] * 2)
    outcome = sandbox.run(model.base_url, limits={"max_retries": 1})
    assert outcome.failed.code is ErrorCode.STREAM_BROKEN
    assert "longer than 8388608 characters" in outcome.failed.message


def test_it_imports_neither_the_gateway_nor_dagger_nor_an_sdk(sandbox: Sandbox, play: Play) -> None:
    process = sandbox.start(
        play([CREATE], [Text("Done.")]).base_url, environment={"PYTHONPROFILEIMPORTTIME": "1"}
    )
    outcome = sandbox.finish(process)
    assert outcome.completed
    imported = {line.rpartition("|")[2].strip() for line in outcome.stderr.splitlines()}
    assert {"httpx2", "pydantic", "aideator.agent.model"} <= imported
    tops = {name.partition(".")[0] for name in imported}
    assert tops.isdisjoint({"aideator_gateway", "dagger", "anthropic", "httpx"})


def test_what_is_imported_before_the_first_line_is_light() -> None:
    program = "import sys, aideator.agent.__main__; print('\\n'.join(sys.modules))"
    ran = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, check=True,
                         env={"PYTHONPATH": str(Path(__file__).parents[2] / "src")})  # fmt: skip
    loaded = {name.split(".")[0] for name in ran.stdout.decode().split()}
    assert loaded.isdisjoint({"pydantic", "anthropic", "httpx2", "asyncio"})
