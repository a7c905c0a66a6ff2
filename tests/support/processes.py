"""The processes of this machine, as anybody on it can see them."""

import mmap
import os
import time
from contextlib import suppress
from io import FileIO
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


def environment_of(process: int) -> dict[str, str]:
    """Return the environment that a process was started with."""
    lines = Path(f"/proc/{process}/environ").read_bytes().decode(errors="replace").split("\0")
    return dict(line.split("=", 1) for line in lines if line)


def processes_of(data_dir: Path) -> list[int]:
    """Return the ids of all processes that work in this data directory's sandboxes."""
    inside = f"{data_dir}/work".encode()
    return [number for number, words in argument_lists().items() if inside in words]


def wait_until_gone(data_dir: Path, seconds: float) -> list[int]:
    """Wait until there are none of these processes; return those left when time is up."""
    deadline = time.monotonic() + seconds
    while (left := processes_of(data_dir)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def wait_until_removed(data_dir: Path, seconds: float = 60) -> list[Path]:
    """Wait until nothing is in this data directory's sandboxes; return what is left."""
    deadline = time.monotonic() + seconds
    while (left := list(data_dir.glob("work/*"))) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def brokers_of(gateway: int) -> list[int]:
    """Return the ids of the brokers that a gateway has started and that live."""
    found = []
    for number, argv in argument_lists().items():
        if b"aideator.broker" not in argv.split(b"\0"):
            continue
        try:
            # What comes behind the name, which may hold anything, is state and parent.
            stat = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # It has ended since.
        if int(stat[1]) == gateway and stat[0] != "Z":
            found.append(number)
    return found


def memory(process: int) -> bytes:
    """Return all that a process has in memory, which should be stopped meanwhile."""
    found = []
    with Path(f"/proc/{process}/mem").open("rb", buffering=0) as file:
        for line in Path(f"/proc/{process}/maps").read_text().splitlines():
            span, rights, *_ = line.split()
            if not rights.startswith("r") or line.endswith(("[vvar]", "[vvar_vclock]")):
                continue
            start, end = (int(part, 16) for part in span.split("-"))
            found.append(_mapped(file, start, end))
    return b"\0".join(found)


def _mapped(file: FileIO, start: int, end: int) -> bytes:
    """Return what is there of a mapping: a page that is not there hides none behind it."""
    found = b""
    while start < end:
        try:
            part = os.pread(file.fileno(), end - start, start)
        except OSError:
            part = b""
        found += part
        start += len(part) or mmap.PAGESIZE
    return found


def open_files(process: int) -> bytes:
    """Return the names of a process's open files, and what is in those that are files."""
    found = b""
    for entry in Path(f"/proc/{process}/fd").iterdir():
        # What has no place for reads to begin at, such as a queue of events, holds no text; and
        # who is at work closes files meanwhile.
        with suppress(OSError):
            found += os.fsencode(entry.readlink()) + b"\0"
            if entry.is_file():
                found += entry.read_bytes()
    return found
