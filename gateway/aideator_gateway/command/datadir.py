"""The data directory: private, owned by one gateway at a time, and telling which."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from aideator_gateway.settings import SettingsError

DATABASE = "aideator.db"
_LOCK = "aideator.lock"
_ADDRESS = "server.json"


@dataclass(frozen=True)
class Address:
    """Where a running gateway can be called."""

    url: str
    token: str | None


def prepare(path: Path) -> None:
    """Create the directory, readable by its owner alone.

    Raises
    ------
    SettingsError
        If it cannot be created or written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.chmod(0o700)
    except OSError as error:
        raise SettingsError(
            f"The data directory {path} cannot be used ({error.strerror}): "
            "name another one with --data-dir."
        ) from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise SettingsError(
            f"The data directory {path} cannot be written: name another one with --data-dir."
        )


@contextmanager
def sole_owner(path: Path) -> Iterator[None]:
    """Hold the directory; a second gateway on it would take the first one's runs for dead.

    Raises
    ------
    SettingsError
        If another gateway holds it.
    """
    with (path / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingsError(
                f"Another gateway is using the data directory {path}: stop it, or name "
                "another directory with --data-dir."
            ) from None
        try:
            yield
        finally:
            (path / _ADDRESS).unlink(missing_ok=True)


def announce(path: Path, address: Address) -> None:
    """Write down where the directory's gateway listens, for commands on this machine."""
    target = path / f"{_ADDRESS}.new"
    target.unlink(missing_ok=True)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(asdict(address), file)
    # Who waits for the address must never read half of it.
    target.replace(path / _ADDRESS)


def running_gateway(path: Path) -> Address | None:
    """Return where the gateway that holds the directory listens, ``None`` if there is none."""
    try:
        with (path / _LOCK).open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return None
    except FileNotFoundError:
        return None
    except BlockingIOError:
        pass
    try:
        return Address(**json.loads((path / _ADDRESS).read_text()))
    except (OSError, ValueError, TypeError):
        return None
