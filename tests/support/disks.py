"""A small file system of its own, which a test can fill and free."""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

_CHUNK = bytes(4096)


class SmallDisk:
    """A mounted tmpfs.

    Parameters
    ----------
    path
        Where it is mounted.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    @contextmanager
    def full(self) -> Iterator[None]:
        """Leave no room, also where others give some back, until the block ends."""
        over, filled = threading.Event(), threading.Event()

        def fill() -> None:
            while not over.is_set():
                with suppress(OSError), self._ballast.open("ab", buffering=0) as file:
                    while True:
                        file.write(_CHUNK)
                filled.set()
                over.wait(0.01)

        filling = threading.Thread(target=fill, daemon=True)
        filling.start()
        filled.wait()
        try:
            yield
        finally:
            over.set()
            filling.join()
            self._ballast.unlink()


@contextmanager
def small_disk(path: Path, mebibytes: int) -> Iterator[SmallDisk]:
    """Mount a small disk, or skip the test where that is not possible."""
    path.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m,mode=700", "tmpfs", str(path)]
    try:
        subprocess.run(words, check=True, capture_output=True, timeout=30)
    except FileNotFoundError:
        pytest.skip("there is no mount command, so no small disk")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"a small disk cannot be mounted: {error.stderr.decode().strip()}")
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True, timeout=30)
