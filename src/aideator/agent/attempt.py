"""One attempt from start to end: prepare, let the model work, take the patch, say how it ended."""

import asyncio
import contextlib
import errno
import shutil
import sys
import tempfile
import traceback
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aideator.agent import capabilities
from aideator.agent.budget import Budget
from aideator.agent.client import Client, check_access
from aideator.agent.emitter import Emitter
from aideator.agent.endings import Cancelled, Completed, Ending, Failed
from aideator.agent.git import Git, GitError
from aideator.agent.loop import Loop
from aideator.agent.model import Model
from aideator.agent.patch import Patch, Patcher
from aideator.agent.report import Report
from aideator.agent.stop import Stop, nothing
from aideator.agent.timing import Timing
from aideator.agent.tools import Tools
from aideator.agent.tools.base import prompt as read_prompt
from aideator.agent.workspace import ROOT, Workspace
from aideator.protocol.errors import ErrorCode
from aideator.protocol.events import MAX_PATCH_BYTES
from aideator.protocol.outcomes import StopReason
from aideator.protocol.secrets import Secrets
from aideator.protocol.task import DEFAULT_MODEL, Condition, Task

_WITHHELD = "The patch holds the API key. It is withheld; the rest of the attempt is kept."

_MAX_PATHS = 20
"""Most paths that one event names. A path has up to 4 KiB, and readers cut long texts."""

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Surroundings:
    """Where an attempt works, and as whom."""

    workspace: Path
    git_dir: Path
    index: Path | None
    """An index of the base commit that knows its files in the workspace, if there is one."""
    api_key: str | None = field(repr=False)
    auth_token: str | None = field(repr=False)
    secrets: Secrets = field(repr=False)
    model_socket: Path | None
    """Unix socket on which the model's server listens, in place of the task's address."""
    headers: dict[str, str]


class Attempt:
    """One run of one variation."""

    def __init__(
        self,
        task: Task,
        surroundings: Surroundings,
        emitter: Emitter,
        timing: Timing,
        report: Report,
        stop: Stop,
    ) -> None:
        self._task = task
        self._surroundings = surroundings
        self._emitter = emitter
        self._timing = timing
        self._report = report
        self._stop = stop
        # A share of a run is a variation's own by now; what is left is all for this one.
        self._budget = Budget(task.limits.for_one_of(1))
        self._loop: Loop | None = None
        self._patcher: Patcher | None = None
        self._workspace: Workspace | None = None

    async def run(self) -> None:
        """Do all of it; the last event written is the ending."""
        with tempfile.TemporaryDirectory(prefix="aideator-") as scratch:
            work = asyncio.create_task(self._work(Path(scratch)))
            loop = asyncio.get_running_loop()
            self._stop.becomes(lambda: loop.call_soon_threadsafe(work.cancel))
            ending = await self._ending_of(work)
            # What comes now comes too late to change the ending, and the loop soon ends.
            self._stop.becomes(nothing)
            patch = None
            try:
                patch = await self._patch()
            except GitError as error:
                text = f"The patch could not be taken: {error}"
                self._emit_status("notice", text)
                self._emit_left_out(self._workspace.written if self._workspace else ())
                if isinstance(ending, Completed):
                    ending = Failed(ErrorCode.SANDBOX_FAILED, text)
            if patch is not None and patch.holds_secret:
                self._emit_status("notice", _WITHHELD)
                if isinstance(ending, Completed):
                    ending = Failed(ErrorCode.SECRET_IN_PATCH, _WITHHELD)
        self._end(ending, patch)

    async def _ending_of(self, work: "asyncio.Task[None]") -> Ending:
        left = self._task.limits.max_seconds - self._report.seconds()
        try:
            async with asyncio.timeout(left):
                await work
        except Ending as ending:
            return ending
        except TimeoutError:
            return Completed(StopReason.LIMIT_SECONDS)
        except asyncio.CancelledError:
            return Cancelled()
        except GitError as error:
            return Failed(ErrorCode.SANDBOX_FAILED, f"The workspace cannot be worked on: {error}")
        except OSError as error:
            if error.errno in _DISK_FULL:
                return Failed(ErrorCode.DISK_FULL, f"Nothing more can be written: {error}")
            return self._crashed(error)
        except MemoryError:
            return Failed(ErrorCode.SANDBOX_FAILED, "The agent reached its memory limit.")
        except Exception as error:  # noqa: BLE001  # Errors are data: a bug is reported, too.
            return self._crashed(error)
        raise AssertionError("the loop ends by raising")

    def _crashed(self, error: Exception) -> Failed:
        # A harness keeps what is written there.
        sys.stderr.write(self._emitter.hide("".join(traceback.format_exception(error))))
        return Failed(ErrorCode.AGENT_CRASHED, f"{type(error).__name__}: {error}")

    async def _work(self, scratch: Path) -> None:
        task, condition = self._task, self._task.condition
        name = condition.model or DEFAULT_MODEL
        settings = capabilities.settings(name, condition)
        around = self._surroundings
        check_access(task.base_url, around.model_socket, around.api_key, around.auth_token)
        if shutil.which("git") is None:
            raise Failed(ErrorCode.GIT_MISSING, "There is no git in the sandbox.")
        workspace = self._workspace = Workspace(around.workspace)
        git = Git(around.git_dir, workspace.root, scratch, around.index)
        self._patcher = Patcher(git, MAX_PATCH_BYTES, around.secrets)
        # The model takes a second to answer, and a large tree as long to be read.
        ready = asyncio.create_task(self._read(self._patcher, workspace))
        tools = Tools(git, workspace, task.editor_tool, ready)
        try:
            client = Client(
                api_key=around.api_key,
                auth_token=around.auth_token,
                base_url=task.base_url,
                socket=around.model_socket,
                headers=around.headers,
                timing=self._timing,
            )
            async with contextlib.aclosing(client):
                model = Model(
                    client,
                    name,
                    {**settings, "system": _system(condition),
                     "tools": tools.definitions()},
                    emitter=self._emitter,
                    budget=self._budget,
                    timing=self._timing,
                    max_retries=task.limits.max_retries,
                    prices=task.prices,
                )  # fmt: skip
                self._loop = Loop(model, tools, self._budget, self._emitter)
                self._emitter.status("working", f"{name} works on {ROOT}.")
                await self._loop.run(f"The repository is at {ROOT}.\n\n{task.prompt}")
        finally:
            ready.cancel()
            # Its failure, if any, has been met by the first tool call or is no longer of interest.
            await asyncio.gather(ready, return_exceptions=True)

    async def _read(self, patcher: Patcher, workspace: Workspace) -> None:
        await patcher.start()
        workspace.submodules = patcher.submodules

    async def _patch(self) -> Patch:
        if self._patcher is None or self._workspace is None:
            return Patch()
        patch = await self._patcher.finish(self._workspace.written)
        if self._patcher.unreadable:
            text = f"Not everything could be read for the patch: {self._patcher.unreadable}"
            self._emit_status("notice", text)
        self._emit_left_out(patch.left_out)
        return patch

    def _emit_left_out(self, paths: Iterable[str]) -> None:
        for group in _groups(sorted(paths)):
            text = f"Written, but not in the patch: {', '.join(group)}."
            self._emit_status("left_out", text, paths=group)

    def _emit_status(self, state: str, message: str, **fields: object) -> None:
        with contextlib.suppress(OSError):
            self._emitter.status(state, message, **fields)

    def _end(self, ending: Ending, patch: Patch | None) -> None:
        try:
            if patch is not None:
                self._report.patch(
                    patch.diff,
                    size=patch.size,
                    files=patch.files,
                    insertions=patch.insertions,
                    deletions=patch.deletions,
                    truncated=patch.too_long,
                    withheld=patch.holds_secret,
                )
        except OSError as error:
            if isinstance(ending, Completed):
                ending = Failed(ErrorCode.DISK_FULL, f"The patch could not be written: {error}")
        spent = {"total": self._budget.total.model_dump(), "turns": self._budget.turns}
        match ending:
            case Completed():
                summary = self._loop.summary if self._loop else ""
                reason = ending.stop_reason.value
                self._report.ending("completed", **spent, stop_reason=reason, summary=summary)
            case Failed():
                self._report.ending(
                    "failed", **spent, code=ending.code.value, message=ending.message
                )
            case _:
                code = ErrorCode.CANCELLED.value
                self._report.ending("cancelled", **spent, code=code, message="Cancelled.")


def _groups(paths: Sequence[str]) -> Iterator[Sequence[str]]:
    return (paths[start : start + _MAX_PATHS] for start in range(0, len(paths), _MAX_PATHS))


def _system(condition: Condition) -> list[dict[str, Any]]:
    text = read_prompt("system").format(root=ROOT)
    if condition.style_text:
        title = "# Style of this attempt; where it differs from the above, it holds"
        text = f"{text}\n\n{title}\n\n{condition.style_text}"
    if condition.instructions:
        text = f"{text}\n\n# Instructions for this attempt\n\n{condition.instructions}"
    # Tools come before the system prompt, so that this one mark covers both.
    return [{"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}]
