"""Where running variations have their files: one directory a run, marked with its gateway.

Several gateways share the parent directory, and it may hold what none of them made. So only
what is marked is ever removed, and only by its own gateway or once that one has died.
"""

import contextlib
import os
import re
import secrets
import signal
from collections.abc import Callable
from pathlib import Path

from aideator_gateway.backends.removal import Removals

MARKER = ".aideator-run"
"""File in a run's directory: the id of the gateway that works there."""

_DISCARDED = re.compile(r"\.discarded\.(?P<owner>gw_\w+)\..+")

_TRIES = 100

_PROCESSES = Path("/proc")


class WorkDirectory:
    """The directories of running variations.

    Parameters
    ----------
    path
        Their parent; made when it is needed, removed when it is empty.
    owner
        Id of the gateway that they are made for.
    """

    def __init__(self, path: Path, owner: str) -> None:
        self._path = path
        self._owner = owner
        self._removals = Removals()

    def make(self, run_id: str) -> Path:
        """Make the directory of a run, readable by its owner alone.

        Raises
        ------
        OSError
            If it cannot be made.
        """
        directory = self._path / run_id
        # Whoever is killed before the mark is in it leaves a name that says as much.
        unmarked = self._leaving(run_id)
        for left in reversed(range(_TRIES)):
            self._path.mkdir(mode=0o700, exist_ok=True)
            try:
                unmarked.mkdir(mode=0o700)
            except FileNotFoundError:
                # Another gateway has just removed the parent, which was empty.
                if not left:
                    raise
            else:
                break
        (unmarked / MARKER).write_text(self._owner)
        return unmarked.rename(directory)

    def _leaving(self, name: str) -> Path:
        """Return a path for what is to be removed by this gateway, or once it has died."""
        # Another of its name may be on its way out.
        return self._path / f".discarded.{self._owner}.{name}.{secrets.token_hex(4)}"

    def _discarded(self, directory: Path) -> Path:
        """Give a run's directory a name that marks it, and return that: it is to be removed.

        The file in it that marks it may be the first to go; the name stays to the end.
        """
        try:
            return directory.rename(self._leaving(directory.name))
        except OSError:
            return directory

    def remove(self, directory: Path) -> None:
        """Begin to remove a run's directory; what cannot be removed now stays marked."""
        self._removals.begin(self._discarded(directory))

    def take_away(self, directory: Path) -> None:
        """Begin to remove a directory of elsewhere on this file system; its place is free at once.

        Raises
        ------
        OSError
            If it cannot be moved; it is as it was.
        """
        self._path.mkdir(mode=0o700, exist_ok=True)
        self._removals.begin(directory.rename(self._leaving(directory.name)))

    def remove_part(self, directory: Path) -> None:
        """Begin to remove a directory within a run's."""
        self._removals.begin(directory)

    async def clear(self, alive: Callable[[str], bool]) -> None:
        """Remove what gateways left that have died, and end what still runs in it."""

        def left(owner: str) -> bool:
            return owner != self._owner and not alive(owner)

        self._begin(left, first=_end_what_runs_in)
        await self._removals.wait()

    async def aclose(self) -> None:
        """Remove what is left of this gateway's own, and the parent if it is empty then.

        It takes seconds at most; what is left then is marked, and for another gateway to remove.
        """
        self._begin(lambda owner: owner == self._owner)
        await self._removals.aclose()
        with contextlib.suppress(OSError):
            self._path.rmdir()

    def _begin(
        self, wanted: Callable[[str], bool], first: Callable[[Path], None] = lambda _: None
    ) -> None:
        try:
            entries = list(self._path.iterdir())
        except OSError:
            return
        for entry in entries:
            owner = owner_of(entry)
            if owner is None or not wanted(owner):
                continue
            if _DISCARDED.fullmatch(entry.name):
                self._removals.begin(entry)
            else:
                first(entry)
                self._removals.begin(self._discarded(entry))


def _end_what_runs_in(directory: Path) -> None:
    """Kill the processes that have their home in the directory of a run.

    All of a sandbox die with their gateway, with one exception: a bubblewrap that its parent has
    just started waits for it before it asks to die with it, and then for ever.
    """
    home = b"HOME=" + os.fsencode(directory) + b"/"
    for process in _PROCESSES.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if any(entry.startswith(home) for entry in _environment(process)):
                os.kill(int(process.name), signal.SIGKILL)


def _environment(process: Path) -> list[bytes]:
    return (process / "environ").read_bytes().split(b"\0")


def owner_of(directory: Path) -> str | None:
    """Return the id of the gateway that made a directory, ``None`` if none did."""
    if found := _DISCARDED.fullmatch(directory.name):
        return found["owner"]
    try:
        return (directory / MARKER).read_text()
    except (OSError, UnicodeDecodeError):
        return None
