"""Runs' logs as they are stored: read frame by frame, and cut as a dead gateway leaves them."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aideator_gateway.runs.store import Store


@dataclass(frozen=True)
class Frame:
    """One event of a log, as clients see it."""

    position: int
    event: str
    data: dict[str, Any]

    @property
    def variation_id(self) -> int | None:
        """The variation that it is of, if it is of one."""
        found: int | None = self.data.get("variation_id")
        return found


def parsed(frames: bytes) -> list[Frame]:
    """Return the frames in what clients are sent."""
    found = []
    for block in frames.decode().split("\n\n")[:-1]:
        id_, event, data = block.split("\n")
        assert (id_[:4], event[:7], data[:6]) == ("id: ", "event: ", "data: ")
        found.append(Frame(int(id_[4:]), event[7:], json.loads(data[6:])))
    return found


async def stored_frames(store: Store, run_id: str) -> list[Frame]:
    """Return a run's whole log from the database."""
    found: list[Frame] = []
    while segment := await store.segment(run_id, found[-1].position if found else 0):
        new = parsed(segment.frames)
        assert (segment.first, segment.last) == (new[0].position, new[-1].position)
        found += new
    return found


async def stored_lines(store: Store, run_id: str, variation_id: int) -> list[Any]:
    """Return a variation's transcript from the database."""
    text = b"".join([part async for part in store.transcript(run_id, variation_id)])
    return [json.loads(line) for line in text.splitlines()]


def cut(
    database: Path, run_id: str, *, frame: Callable[[Frame], bool], line: Callable[[Any], bool]
) -> None:
    """Take frames and lines for which these say so out of a run's log, beside its gateway."""
    segments = "SELECT rowid, frames FROM segment WHERE run_id = ?"
    transcripts = "SELECT rowid, lines FROM transcript WHERE run_id = ?"
    with closing(sqlite3.connect(database, timeout=30)) as connection, connection:
        for rowid, frames in connection.execute(segments, (run_id,)).fetchall():
            kept = [
                block + b"\n\n"
                for block in frames.split(b"\n\n")[:-1]
                if not frame(*parsed(block + b"\n\n"))
            ]
            if not kept:
                connection.execute("DELETE FROM segment WHERE rowid = ?", (rowid,))
                continue
            connection.execute(
                "UPDATE segment SET frames = ?, last = ? WHERE rowid = ?",
                (b"".join(kept), parsed(kept[-1])[0].position, rowid),
            )
        for rowid, lines in connection.execute(transcripts, (run_id,)).fetchall():
            all_lines = lines.splitlines()
            left = [one + b"\n" for one in all_lines if not line(json.loads(one))]
            connection.execute(
                "UPDATE transcript SET lines = ?, number = number - ? WHERE rowid = ?",
                (b"".join(left), len(all_lines) - len(left), rowid),
            )
        connection.execute("DELETE FROM transcript WHERE lines = x''")


def cut_ends(database: Path, run_id: str, *ends: int | None) -> None:
    """Take the ends of variations, or with ``None`` of the run, out of its log."""
    cut(
        database,
        run_id,
        frame=lambda one: one.event in ("end", "completion", "error") and one.variation_id in ends,
        line=lambda one: "status" in one and one["variation"] in ends,
    )


def cut_all(database: Path, run_id: str) -> None:
    """Take everything out of a run's log."""
    cut(database, run_id, frame=lambda _: True, line=lambda _: True)
