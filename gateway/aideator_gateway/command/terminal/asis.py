"""Bytes as they are, for whoever takes standard output."""

import sys


def write(content: bytes) -> None:
    """Write to standard output, behind what was printed before; for a pipe or a file alone."""
    sys.stdout.flush()
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()
