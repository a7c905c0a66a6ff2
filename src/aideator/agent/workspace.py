"""Which files the model may touch: those of the repository, and nothing else.

A path is resolved, links included, and refused unless it then lies in the repository and
outside of every ``.git``. Between that look and the use nobody moves anything: tools run
one at a time and no command of the model's is ever executed. The last step still refuses
to follow a link, so that a mistake here would end in an error.
"""

import errno
import os
import secrets
import stat
from pathlib import Path, PurePosixPath

ROOT = "/repo"
"""Where the repository is, as far as the model is told."""

MAX_FILE_BYTES = 16 * 1024 * 1024
"""Largest file that is read or written, in bytes."""


class WorkspaceError(Exception):
    """The model asked for something that cannot be done; the text tells it what to do."""


class Workspace:
    """The repository's files.

    Parameters
    ----------
    root
        Directory of the repository's tree.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve(strict=True)
        self.written: set[str] = set()
        """Paths written so far, relative to the root."""
        self.submodules: frozenset[str] = frozenset()
        """Directories whose files are another repository's, relative to the root."""

    def resolve(self, path: str) -> Path:
        """Turn a path of the model's into a real one.

        Parameters
        ----------
        path
            Relative to the repository, or absolute below ``/repo`` or its real path.

        Raises
        ------
        WorkspaceError
            The path leads out of the repository or into a ``.git``, or is none at all.
        """
        relative = self._relative(path)
        real = Path(os.path.realpath(self.root / relative))
        if not real.is_relative_to(self.root):
            raise WorkspaceError(
                f"{path} is a link that leads out of the repository and is not followed."
                " Use a path inside the repository."
            )
        if any(_is_git(part) for part in (*relative.parts, *real.relative_to(self.root).parts)):
            raise WorkspaceError(
                f"{path}: .git is not yours to read or change. Work on the repository's files."
            )
        try:
            os.lstat(real)
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError as error:
            raise _explained(path, error) from error
        return real

    def refuse_submodule(self, path: str, real: Path) -> None:
        """Refuse what is, or is in, a submodule or another repository inside this one.

        Raises
        ------
        WorkspaceError
            No patch of this repository can hold what is there.
        """
        for directory in (real, *real.parents):
            if directory == self.root:
                return
            name = str(directory.relative_to(self.root))
            if name in self.submodules or os.path.lexists(directory / ".git"):
                raise WorkspaceError(
                    f"{path}: {self.shown(directory)} is a submodule, a repository of its own. Its"
                    " files belong to that one and cannot be changed from here. Work on other"
                    " files, and say what would have to be changed there."
                )

    def shown(self, real: Path) -> str:
        """Return a real path as the model writes it: relative to the root, ``.`` for itself."""
        return str(real.relative_to(self.root)).encode("utf-8", "replace").decode()

    def read(self, path: str) -> bytes:
        """Return a file's bytes.

        Raises
        ------
        WorkspaceError
            It is missing, no regular file, too large, or not allowed.
        """
        real = self.resolve(path)
        try:
            # A device may act on being opened, so the first look opens nothing.
            _regular(path, os.lstat(real))
            descriptor = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as file:
                info = os.fstat(descriptor)
                _regular(path, info)
                if info.st_size > MAX_FILE_BYTES:
                    raise WorkspaceError(
                        f"{path} has {info.st_size} bytes, more than the {MAX_FILE_BYTES} that"
                        " can be opened. Use search_text to find the lines you need."
                    )
                return file.read(MAX_FILE_BYTES + 1)
        except FileNotFoundError as error:
            self.refuse_submodule(path, real)
            raise _explained(path, error) from error
        except OSError as error:
            raise _explained(path, error) from error

    def write(self, path: str, data: bytes) -> bool:
        """Replace or create a file in one step; an existing file keeps its mode.

        Returns
        -------
        Whether the file is new.

        Raises
        ------
        WorkspaceError
            The path is taken by something else, in a submodule, not writable, or not allowed.
        """
        if len(data) > MAX_FILE_BYTES:
            raise WorkspaceError(
                f"{path} would have {len(data)} bytes, more than the {MAX_FILE_BYTES} allowed."
            )
        real = self.resolve(path)
        if real == self.root:
            raise WorkspaceError(f"{path} is the repository itself. Name a file in it.")
        self.refuse_submodule(path, real)
        try:
            mode = _mode_of(path, real)
            real.parent.mkdir(parents=True, exist_ok=True)
            _replace(real, data, 0o644 if mode is None else mode)
        except OSError as error:
            raise _explained(path, error) from error
        self.written.add(str(real.relative_to(self.root)))
        return mode is None

    def _relative(self, path: str) -> PurePosixPath:
        if not path or "\0" in path:
            raise WorkspaceError("The path is empty or has a null character. Name a file.")
        try:
            path.encode()
        except UnicodeEncodeError:
            raise WorkspaceError("The path is not valid Unicode.") from None
        given = PurePosixPath(path)
        for root in (PurePosixPath(ROOT), PurePosixPath(self.root)):
            if given.is_relative_to(root):
                given = given.relative_to(root)
                break
        if given.is_absolute() or ".." in given.parts:
            raise WorkspaceError(
                f"{path} is outside of the repository. Use a path below {ROOT}, without '..'."
            )
        return given


def _mode_of(path: str, real: Path) -> int | None:
    try:
        info = os.lstat(real)
    except FileNotFoundError:
        return None
    _regular(path, info)
    return stat.S_IMODE(info.st_mode) & 0o777


def _replace(real: Path, data: bytes, mode: int) -> None:
    # A short name of its own: the file's may already be as long as names can be.
    temporary = real.parent / f".aideator-{secrets.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), mode)
        temporary.replace(real)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _regular(path: str, info: os.stat_result) -> None:
    mode = info.st_mode
    if stat.S_ISDIR(mode):
        raise WorkspaceError(f"{path} is a directory. Name a file, or use list_files on it.")
    if not stat.S_ISREG(mode):
        raise WorkspaceError(
            f"{path} is a pipe, socket or device, not a file. Leave it and use another path."
        )


def _explained(path: str, error: OSError) -> WorkspaceError:
    if isinstance(error, FileNotFoundError):
        return WorkspaceError(f"{path} does not exist. Use list_files to see what does.")
    if isinstance(error, NotADirectoryError):
        return WorkspaceError(f"A part of {path} is a file, not a directory.")
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        raise error
    return WorkspaceError(f"{path}: {error.strerror or error}.")


def _is_git(part: str) -> bool:
    """Whether some file system takes this name for ``.git``, by the rules git itself goes by."""
    # HFS+ ignores these characters; NTFS ignores trailing dots and spaces, reads "name:stream"
    # as part of the file, and has the short name GIT~1; many ignore case.
    visible = "".join(c for c in part if not ("\u200b" <= c <= "\u206f" or c == "\ufeff"))
    name = visible.split(":")[0].rstrip(". ").casefold()
    return name in (".git", "git~1")
