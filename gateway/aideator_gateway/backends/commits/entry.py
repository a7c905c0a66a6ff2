"""One commit as it is kept on disk: what git needs of it, and its files."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Entry:
    """A directory with a commit in it.

    It comes to its place whole, by a rename, and is never changed there but for marks beside
    the commit. So whatever is in its place is complete, unless the machine itself went down.
    """

    path: Path

    @property
    def git_dir(self) -> Path:
        """A git directory whose ``HEAD`` is the commit, with all objects of it."""
        return self.path / "git"

    @property
    def index(self) -> Path:
        """Git's index of the tree, as it is in ``tree``."""
        return self.git_dir / "index"

    @property
    def tree(self) -> Path:
        """The commit's files, without ``.git``."""
        return self.path / "repo"

    @property
    def used(self) -> Path:
        """A file that is locked by those who use the commit; it tells when that was."""
        return self.path / "used"

    @property
    def _mark(self) -> Path:
        return self.path / "kept.json"

    def keep(self, url: str, tree_bytes: int) -> None:
        """Mark that the commit is complete.

        Parameters
        ----------
        url
            Where it is from.
        tree_bytes
            What ``tree`` takes on disk.
        """
        self.used.touch(mode=0o600)
        self._mark.touch(mode=0o600)
        self._mark.write_text(json.dumps({"url": url, "tree_bytes": tree_bytes, "boot": _boot()}))

    def give_up(self) -> None:
        """Mark that it is not complete any more: it is about to be removed.

        Raises
        ------
        OSError
            If it cannot be marked.
        """
        self._mark.unlink(missing_ok=True)

    @property
    def usable(self) -> bool:
        """Whether it is complete. After the machine was started anew it is not.

        What had not reached the disk by then is lost, and to force a commit there would hold up
        all else that is written.
        """
        with suppress(OSError, ValueError, KeyError):
            return bool(self._read()["boot"] == _boot())
        return False

    def touch(self) -> None:
        """Mark that it is used now."""
        with suppress(OSError):
            os.utime(self.used)

    @property
    def last_used(self) -> float:
        """When it was used last."""
        try:
            return self.used.stat().st_mtime
        except OSError:
            return 0.0

    @property
    def tree_bytes(self) -> int:
        """What its files take on disk."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            return int(self._read()["tree_bytes"])
        return 0

    def packs(self) -> Iterator[Path]:
        """Return the files of its objects, which it may share with others by links."""
        with suppress(OSError):
            yield from (self.git_dir / "objects/pack").iterdir()

    def lend(self, git_dir: Path) -> None:
        """Let an empty git directory have the same objects, so that they need not be sent again.

        Raises
        ------
        OSError
            If they cannot be linked.
        """
        target = git_dir / "objects/pack"
        target.mkdir(parents=True, exist_ok=True)
        for pack in self.packs():
            os.link(pack, target / pack.name)
        with suppress(FileNotFoundError):
            # Without it, git would tell the server that it has the whole history.
            shutil.copyfile(self.git_dir / "shallow", git_dir / "shallow")
        shutil.copytree(self.git_dir / "refs", git_dir / "refs", dirs_exist_ok=True)

    def name_commit(self, commit: str, *, alone: bool = False) -> None:
        """Give the commit a ref: by their refs git tells a server what need not be sent.

        Parameters
        ----------
        alone
            Whether refs of other commits go, and with them what only those need.
        """
        refs = self.git_dir / "refs/kept"
        if alone:
            shutil.rmtree(refs, ignore_errors=True)
        refs.mkdir(exist_ok=True)
        (refs / commit).write_text(f"{commit}\n")

    def _read(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._mark.read_text())
        return found


def _boot() -> str:
    """Return what is another one after each start of the machine, where the system has that."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return ""
