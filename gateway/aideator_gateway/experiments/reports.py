"""The reports of a data directory's experiments: made once for each state that they are in."""

import asyncio
import contextlib
import importlib.util
import os
import sys
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aideator_gateway.experiments.directory import (
    Version,
    journal_named,
    journals,
    not_found,
    version_of,
)
from aideator_gateway.experiments.judgments import judgments_file
from aideator_gateway.experiments.report.request import UNUSABLE, Made, Request
from aideator_gateway.experiments.summary import ExperimentSummary, summary_of
from aideator_gateway.runs.problems import Problem

Winners = Callable[[Collection[str]], Awaitable[Mapping[str, int]]]
"""Returns chosen variations by run, of the runs that it is given."""

EXTRA = ("numpy", "scipy", "choix")
"""What the extra ``experiments`` brings."""

KEPT = 8
"""Reports that are kept."""

SECONDS = 120.0
"""How long one may take, on a machine that is busy with agents."""


@dataclass(frozen=True)
class _Known:
    version: Version
    summary: ExperimentSummary | None
    runs: frozenset[str]


class Reports:
    """Says which experiments there are, and what they say.

    Parameters
    ----------
    directory
        Where their journals are.
    winners
        Asks what people chose.
    needs
        Packages that figures are computed with.
    seconds
        How long one may take.
    """

    def __init__(
        self,
        directory: Path,
        winners: Winners,
        *,
        needs: Sequence[str] = EXTRA,
        seconds: float = SECONDS,
    ) -> None:
        self._directory = directory
        self._winners = winners
        self._needs = needs
        self._seconds = seconds
        self._known: dict[str, _Known] = {}
        self._made: dict[str, tuple[object, Made]] = {}
        # One at a time: figures are not to take the processor from agents.
        self._turn = asyncio.Lock()

    async def all(self) -> list[ExperimentSummary]:
        """Return all experiments, the last changed first."""
        known = await asyncio.to_thread(self._read_all)
        found = [one.summary for one in known if one.summary is not None]
        return sorted(found, key=lambda one: one.changed_at, reverse=True)

    async def report(self, name: str) -> Made:
        """Return what an experiment says.

        Raises
        ------
        Problem
            If there is no such experiment, or nothing can be computed here.
        """
        known = await asyncio.to_thread(self._read_one, name)
        if known is None or known.summary is None:
            raise not_found(name)
        if known.summary.problem:
            raise Problem("journal_unusable", known.summary.problem)
        if any(importlib.util.find_spec(package) is None for package in self._needs):
            raise Problem(
                "experiments_not_installed",
                "Install what figures are computed with, and start the server again: "
                "pip install 'aideator[experiments]'.",
            )
        winners = dict(await self._winners(known.runs))
        judgments = await asyncio.to_thread(version_of, judgments_file(self._path(name)))
        state = (known.version, judgments, winners)
        async with self._turn:
            before = self._made.get(name)
            if before is not None and before[0] == state:
                return before[1]
            request = Request(journal=self._path(name), winners=winners)
            made = await _made(request, self._seconds)
            self._made.pop(name, None)
            self._made[name] = (state, made)
            while len(self._made) > KEPT:
                del self._made[next(iter(self._made))]
            return made

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}.jsonl"

    def _read_all(self) -> list[_Known]:
        paths = list(journals(self._directory))
        for gone in self._known.keys() - {path.stem for path in paths}:
            self._known.pop(gone, None)
        return [known for path in paths if (known := self._read(path)) is not None]

    def _read_one(self, name: str) -> _Known | None:
        path = journal_named(self._directory, name)
        return None if path is None else self._read(path)

    def _read(self, path: Path) -> _Known | None:
        """Return what a journal says in short; it is read anew when it has changed."""
        version = version_of(path)
        if version is None:
            return None
        known = self._known.get(path.stem)
        if known is None or known.version != version:
            try:
                said = summary_of(path)
            except FileNotFoundError:
                return None
            known = self._known[path.stem] = _Known(version, *(said or (None, frozenset())))
        return known


async def _made(request: Request, seconds: float) -> Made:
    """Make a report in a process of its own, which has nothing of this one but its request."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-m", "aideator_gateway.experiments.report",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"},
        start_new_session=True,
    )  # fmt: skip
    try:
        async with asyncio.timeout(seconds):
            out, said = await process.communicate(request.model_dump_json().encode())
    except TimeoutError:
        raise Problem(
            "report_failed",
            f"It took more than {seconds:g} s; aideator experiment report takes as long as "
            "it needs.",
        ) from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    if process.returncode == UNUSABLE:
        raise Problem("journal_unusable", said.decode(errors="replace"))
    if process.returncode != 0:
        last = said.decode(errors="replace").strip().rpartition("\n")[2]
        raise Problem(
            "report_failed",
            f"What makes it ended with {process.returncode} ({last[:200]}): see whether "
            "aideator experiment report can make it.",
        )
    return Made.model_validate_json(out)
