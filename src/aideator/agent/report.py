"""Hand over what an attempt leaves: its patch, and how it ended. Standard library only."""

import base64
import contextlib
import json
import time
from pathlib import Path

from aideator.agent.emitter import Emitter


class Report:
    """Writes the last two events of an attempt, and the files that hold the same.

    Parameters
    ----------
    output
        Directory for ``changes.patch`` and ``result.json``.
    started
        ``time.monotonic()`` at the program's start, from which the attempt's time counts.
    """

    def __init__(self, emitter: Emitter, output: Path, started: float) -> None:
        self._emitter = emitter
        self._output = output
        self._started = started

    def seconds(self) -> float:
        """Return how long the attempt has taken so far."""
        return round(time.monotonic() - self._started, 3)

    def patch(
        self,
        diff: bytes = b"",
        *,
        size: int = 0,
        files: int = 0,
        insertions: int = 0,
        deletions: int = 0,
        truncated: bool = False,
        withheld: bool = False,
    ) -> None:
        """Hand over the patch, empty unless given.

        Raises
        ------
        OSError
            It cannot be written to a file.
        """
        self._emitter.emit(
            "patch",
            diff=base64.b64encode(diff).decode("ascii"),
            bytes=size,
            files=files,
            insertions=insertions,
            deletions=deletions,
            truncated=truncated,
            withheld=withheld,
        )
        if not truncated and not withheld:
            (self._output / "changes.patch").write_bytes(diff)

    def ending(self, type_: str, **fields: object) -> None:
        """Say how it ended; a file that cannot be written is no longer a reason not to."""
        with contextlib.suppress(OSError):
            self._emitter.emit(type_, status=type_, seconds=self.seconds(), **fields)
        text = json.dumps(self._emitter.last, indent=2)
        with contextlib.suppress(OSError):
            (self._output / "result.json").write_text(f"{text}\n", encoding="utf-8")

    def failed(self, code: str, message: str) -> None:
        """End an attempt that could not even begin."""
        self._no_patch()
        self.ending("failed", turns=0, total={}, code=code, message=message)

    def cancelled(self) -> None:
        """End an attempt that was told to stop before it began."""
        self._no_patch()
        self.ending("cancelled", turns=0, total={}, code="cancelled", message="Cancelled.")

    def _no_patch(self) -> None:
        with contextlib.suppress(OSError):
            self.patch()
