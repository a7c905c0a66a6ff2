"""Run one variation in its container, and read what it left."""

import asyncio
import time
from dataclasses import dataclass

import dagger
from dagger import Container, File, ReturnType, dag, telemetry

from aideator.access import Access
from aideator.check_result import CheckResult, run_check
from aideator.containers import (
    GIT_DIR,
    REPOSITORY,
    USER,
    Bench,
    Command,
    last_lines,
    on_path,
    python,
)
from aideator.errors import engine_message
from aideator.protocol import (
    GRACE_SECONDS,
    CompletedEvent,
    EndEvent,
    ErrorCode,
    FailedEvent,
    PatchEvent,
    Task,
    parse_line,
)
from aideator.protocol.commands import MAX_MEMORY_KIB, MAX_PROCESSES
from aideator.protocol.tokens import Grant
from aideator.usage import Usage
from aideator.variation import Variation

OUTPUT = "/aideator/output"
TASK = "/aideator/task.json"

_TIMED_OUT = 124
_TOKEN = "ANTHROPIC_AUTH_TOKEN"  # noqa: S105 - its name


@dataclass(frozen=True)
class Checking:
    """A check to be run on every result."""

    command: Command
    image: Container | None
    """Where to run it, if not in the workspace."""


@dataclass(frozen=True)
class AttemptId:
    """Which attempt of which variation this is; what differs keeps the engine from reusing one."""

    run_id: str
    variation_id: int
    number: int


async def run_attempt(
    attempt: AttemptId,
    task: Task,
    bench: Bench,
    access: Access,
    grant: Grant,
    *,
    events: str,
    checking: Checking | None,
) -> Variation:
    """Let one agent work, check what it left, and return it; a failure is a result as well."""
    label = task.condition.name or ""
    name = f"variation {attempt.variation_id}"
    # Under this name the attempt shows in the terminal and in traces.
    with telemetry.get_tracer().start_as_current_span(f"{name}: {label}" if label else name):
        before = _equipped(bench.agent, task)
        after = _started(_connected(before, access, grant), attempt, task, events)
        try:
            files = await after.directory(OUTPUT).entries()
            (ending, patch), _ = await asyncio.gather(
                _ending(after, files, attempt), access.ended(grant)
            )
        except dagger.QueryError as error:
            # The container could not even be started.
            after, files, patch = before, [], None
            ending = _failed(attempt, ErrorCode.SANDBOX_FAILED, engine_message(error))
        tree = after.directory(REPOSITORY)
        check: CheckResult | None = None
        if checking is not None:
            container = checking.image or bench.workspace
            check = await run_check(container, tree, checking.command)
    return Variation(
        variation_id=attempt.variation_id,
        label=task.condition.label or "",
        style=task.condition.style or "",
        condition=task.condition.model_dump_json(exclude_none=True),
        model=task.condition.model or "",
        status=ending.status.value,
        stop_reason=ending.stop_reason.value if isinstance(ending, CompletedEvent) else None,
        error_code=None if isinstance(ending, CompletedEvent) else ending.code.value,
        message="" if isinstance(ending, CompletedEvent) else ending.message,
        summary=ending.summary if isinstance(ending, CompletedEvent) else "",
        turns=ending.turns,
        seconds=ending.seconds,
        usage=Usage(**ending.total.model_dump()),
        patch_bytes=patch.bytes if patch else 0,
        patch_truncated=patch.truncated if patch else False,
        files_changed=patch.files if patch else 0,
        insertions=patch.insertions if patch else 0,
        deletions=patch.deletions if patch else 0,
        check=check,
        changes=tree.changes(before.directory(REPOSITORY)),
        patch=_file(after, "changes.patch", files),
        directory=tree,
        transcript=_file(after, "transcript.jsonl", files),
        container=after.without_secret_variable(_TOKEN).with_workdir(REPOSITORY),
    )


def _equipped(container: Container, task: Task) -> Container:
    return (
        on_path(container.with_new_file(TASK, task.model_dump_json()))
        .with_directory(OUTPUT, dag.directory(), owner=USER)
        .with_user(USER)
        .with_env_variable("AIDEATOR_MAX_MEMORY_BYTES", str(MAX_MEMORY_KIB * 1024))
        .with_env_variable("AIDEATOR_MAX_PROCESSES", str(MAX_PROCESSES))
    )


def _connected(container: Container, access: Access, grant: Grant) -> Container:
    if access.service is not None:
        container = container.with_service_binding(access.host, access.service)
        # A proxy of the image's or the engine's does not know it.
        for name in ("NO_PROXY", "no_proxy"):
            container = container.with_env_variable(name, access.host)
    return container.with_secret_variable(_TOKEN, access.token(grant))


def _started(container: Container, attempt: AttemptId, task: Task, events: str) -> Container:
    seconds = round(task.limits.max_seconds + GRACE_SECONDS)
    argv = [
        "timeout", "-k", "10", str(seconds),
        *python("agent"),
        "--task", TASK,
        "--workspace", REPOSITORY,
        "--git-dir", GIT_DIR,
        "--output", OUTPUT,
        "--events", events,
    ]  # fmt: skip
    # The ids come last: all before them is the same for equal variations, and stays shared.
    return (
        container.with_env_variable("AIDEATOR_RUN_ID", attempt.run_id)
        .with_env_variable("AIDEATOR_VARIATION_ID", str(attempt.variation_id))
        .with_env_variable("AIDEATOR_ATTEMPT", str(attempt.number))
        .with_exec(argv, expect=ReturnType.ANY)
    )


async def _ending(
    after: Container, files: list[str], attempt: AttemptId
) -> tuple[EndEvent, PatchEvent | None]:
    """Return how the agent ended, in its own words if it could say, and the patch's event."""
    if "result.json" in files:
        ending = parse_line(await after.file(f"{OUTPUT}/result.json").contents())
        if isinstance(ending, EndEvent):
            # The patch is the event before the ending, and an event is a line.
            line = await after.file(f"{OUTPUT}/transcript.jsonl").contents(
                offset_lines=max(ending.seq - 2, 0), limit_lines=1
            )
            patch = parse_line(line)
            return ending, patch if isinstance(patch, PatchEvent) else None
    code = await after.exit_code()
    if code == _TIMED_OUT:
        return _failed(attempt, ErrorCode.TIMED_OUT, "The agent did not end by itself."), None
    said = last_lines(await after.stderr())
    text = f"The agent ended with exit code {code} and without a result: {said}"
    return _failed(attempt, ErrorCode.AGENT_CRASHED, text), None


def _failed(attempt: AttemptId, code: ErrorCode, message: str) -> FailedEvent:
    return FailedEvent(
        run=attempt.run_id,
        variation=attempt.variation_id,
        attempt=attempt.number,
        seq=1,
        time=time.time(),
        type="failed",
        code=code,
        message=message,
    )


def _file(after: Container, name: str, files: list[str]) -> File:
    return after.file(f"{OUTPUT}/{name}") if name in files else dag.file(name, "")
