"""From what a run's log takes to the rows that hold it: few and large, for whoever reads them."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from aideator_gateway.runs.frames import numbered
from aideator_gateway.runs.stored import Record, Segment

SEGMENT_BYTES = 128 * 1024
"""A stretch of the log, or of a transcript, that has as many bytes takes no more."""

PIECE_BYTES = 192 * 1024
"""Most bytes of a piece of a patch. A multiple of three: its base64 needs no padding."""


@dataclass(frozen=True)
class Stretch:
    """Lines of a variation's transcript; the fields are those of ``TranscriptRow``."""

    variation_id: int
    number: int
    patch_at: int | None
    lines: bytes


@dataclass(frozen=True)
class Piece:
    """A piece of a patch; the fields are those of ``PatchRow``."""

    variation_id: int
    number: int
    piece: bytes


@dataclass
class Packed:
    """The rows of one run that belong into one commit."""

    run_id: str
    segments: list[Segment] = field(default_factory=list)
    stretches: list[Stretch] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)


@dataclass(slots=True)
class _Open:
    """A row that is still being filled."""

    parts: list[bytes] = field(default_factory=list)
    size: int = 0
    last: int = 0

    def add(self, part: bytes, position: int) -> bool:
        """Add to it, and return whether it is full."""
        self.parts.append(part)
        self.size += len(part)
        self.last = position
        return self.size >= SEGMENT_BYTES


def pack(run_id: str, position: int, records: Iterable[tuple[int | None, Record]]) -> Packed:
    """Make rows of records, each with its variation, if it is of one.

    Parameters
    ----------
    position
        Of the newest frame in the run's log; the first new one comes behind it.
    """
    packed = Packed(run_id)
    frames = _Open()
    lines: dict[int, _Open] = {}
    for variation_id, record in records:
        position += 1
        if record.ends and frames.parts:
            packed.segments.append(_segment(frames))
            frames = _Open()
        if frames.add(numbered(position, record.frame), position) or record.ends:
            packed.segments.append(_segment(frames, ends=record.ends))
            frames = _Open()
        if variation_id is None or not record.line:
            continue
        if record.patch_at is not None:
            # A stretch of its own, behind what was said before it.
            if before := lines.pop(variation_id, None):
                packed.stretches.append(_stretch(variation_id, before))
            stretch = Stretch(variation_id, position, record.patch_at, record.line + b"\n")
            packed.stretches.append(stretch)
            packed.pieces += _pieces(variation_id, record.patch or b"")
            continue
        said = lines.get(variation_id)
        if said is None:
            said = lines[variation_id] = _Open()
        if said.add(record.line + b"\n", position):
            packed.stretches.append(_stretch(variation_id, lines.pop(variation_id)))
    if frames.parts:
        packed.segments.append(_segment(frames))
    packed.stretches += [_stretch(number, rest) for number, rest in lines.items()]
    return packed


def _segment(frames: _Open, *, ends: bool = False) -> Segment:
    first = frames.last - len(frames.parts) + 1
    return Segment(first, frames.last, ends, b"".join(frames.parts))


def _stretch(variation_id: int, lines: _Open) -> Stretch:
    return Stretch(variation_id, lines.last, None, b"".join(lines.parts))


def _pieces(variation_id: int, patch: bytes) -> list[Piece]:
    starts = range(0, len(patch), PIECE_BYTES)
    return [
        Piece(variation_id, number, patch[start : start + PIECE_BYTES])
        for number, start in enumerate(starts)
    ]
