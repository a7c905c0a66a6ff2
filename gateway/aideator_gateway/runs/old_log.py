"""Logs of databases before format 5, which had a row for each event, packed as they are now."""

import json
import sqlite3
from collections.abc import Iterator

from aideator.protocol import PatchEvent, parse_line
from aideator_gateway.runs.frames import check_frame, end_frame, frame
from aideator_gateway.runs.packing import pack
from aideator_gateway.runs.records import as_record
from aideator_gateway.runs.stored import Record

PART_BYTES = 8 * 1024 * 1024
"""As many bytes of events are packed at a time."""

_HIDDEN = b": left out\n\n"
"""What stands for an event that no client was shown: it has a place in the log."""


def pack_old_log(connection: sqlite3.Connection) -> None:
    """Pack the table of events, in the transaction that is open, and drop it."""
    runs = connection.execute("SELECT DISTINCT run_id FROM event").fetchall()
    for (run_id,) in runs:
        position = 0
        for part in _parts(connection, run_id):
            packed = pack(run_id, position, part)
            position += len(part)
            connection.executemany(
                "INSERT INTO segment (run_id, last, first, ends, frames) VALUES (?, ?, ?, ?, ?)",
                [(run_id, s.last, s.first, s.ends, s.frames) for s in packed.segments],
            )
            connection.executemany(
                "INSERT INTO transcript (run_id, variation_id, number, patch_at, lines)"
                " VALUES (?, ?, ?, ?, ?)",
                [(run_id, s.variation_id, s.number, s.patch_at, s.lines) for s in packed.stretches],
            )
            connection.executemany(
                "INSERT INTO patch (run_id, variation_id, number, piece) VALUES (?, ?, ?, ?)",
                [(run_id, p.variation_id, p.number, p.piece) for p in packed.pieces],
            )
    connection.execute("DROP TABLE event")


def _parts(
    connection: sqlite3.Connection, run_id: str
) -> Iterator[list[tuple[int | None, Record]]]:
    rows = connection.execute(
        "SELECT variation_id, type, line FROM event WHERE run_id = ? ORDER BY position", (run_id,)
    )
    part: list[tuple[int | None, Record]] = []
    size = 0
    patched: set[int] = set()
    for variation_id, kind, line in rows:
        record = _record(variation_id, kind, line, patched)
        part.append((variation_id, record))
        size += record.size
        if size >= PART_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


def _record(variation_id: int | None, kind: str, line: str, patched: set[int]) -> Record:
    if kind == "end":
        return Record(end_frame(**json.loads(line)), ends=True)
    if kind == "check" and variation_id is not None:
        found = json.loads(line)
        return Record(check_frame(variation_id, found, found.pop("time", 0.0)))
    event = parse_line(line)
    if event is None:
        return Record(_HIDDEN, line.encode())
    if isinstance(event, PatchEvent):
        if event.variation in patched:
            return Record(frame(event))
        patched.add(event.variation)
    return as_record(event, line.encode())
