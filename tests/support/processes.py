"""The processes of this machine, as anybody on it can see them."""

from pathlib import Path


def argument_lists() -> dict[int, bytes]:
    """Return the argument list of each process, by its id."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found[int(entry.name)] = (entry / "cmdline").read_bytes()
            except OSError:
                continue  # It has ended since.
    return found
