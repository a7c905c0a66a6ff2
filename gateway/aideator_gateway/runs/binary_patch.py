"""What git packs in a patch: the files that it takes for binary.

``git apply`` reads these as hunks of lines in base 85, which hold a compressed file, or the
steps that make it from the file before.
"""

import base64
import re
import zlib
from collections.abc import Iterator

MAX_BYTES = 64 * 1024 * 1024
"""How much of a patch is unpacked."""

_HUNK = re.compile(rb"^(literal|delta) \d+\n((?:[A-Za-z][!-~]+\n)+)", re.MULTILINE)
_LENGTHS = {
    letter: length
    for length, letter in enumerate(
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", start=1
    )
}


class TooLongError(Exception):
    """More is packed than is unpacked."""


def unpacked(diff: bytes) -> Iterator[bytes]:
    """Give each binary file of a patch; of one that is told as a change, what is new in it.

    Raises
    ------
    TooLongError
        They are too long to be looked at.
    """
    left = MAX_BYTES
    if b"\nGIT binary patch\n" not in diff:
        return
    for hunk in _HUNK.finditer(diff):
        unpacker = zlib.decompressobj()
        try:
            packed = b"".join(_decoded(line) for line in hunk[2].splitlines())
            data = unpacker.decompress(packed, left)
        except (ValueError, zlib.error):
            continue  # Nor does git apply read it.
        left -= len(data)
        if unpacker.unconsumed_tail or left <= 0:
            raise TooLongError
        yield data if hunk[1] == b"literal" else _inserted(data)


def _decoded(line: bytes) -> bytes:
    return base64.b85decode(line[1:])[: _LENGTHS[line[0]]]


def _inserted(delta: bytes) -> bytes:
    """Return what a change inserts; what it inserts in one go is in pieces of up to 127 bytes."""
    found = bytearray()
    steps = iter(delta)
    for _ in range(2):  # The lengths before and after, seven bits a byte.
        while next(steps, 0) & 0x80:
            pass
    for step in steps:
        if step & 0x80:
            # A copy, whose place and length are in as many bytes as bits are set. What comes
            # before it and after it is not next to each other.
            for _ in range((step & 0x7F).bit_count()):
                next(steps, 0)
            found += b"\0"
        else:
            found += bytes(next(steps, 0) for _ in range(step))
    return bytes(found)
