"""One commit of a repository, fetched with git and nothing of the user's own settings."""

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path

from aideator.protocol import ErrorCode
from aideator_gateway.backends.children import run
from aideator_gateway.backends.redirects import settled
from aideator_gateway.runs.backend import BackendError

CLONE_SECONDS = 600

_PASSED_ON = (
    "PATH", "LANG", "TMPDIR",
    "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY",
    "https_proxy", "http_proxy", "all_proxy", "no_proxy",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH",
)  # fmt: skip
"""Variables of the gateway's own environment that say how to reach the network."""

_CAUSES = (
    (
        # Who sends it to us is a git of its own, which ignores our settings.
        r"dubious ownership",
        ErrorCode.REPOSITORY_UNREACHABLE,
        (
            "git does not read {url}, which belongs to another user: run the gateway as its "
            "owner, or give the gateway's user a clone."
        ),
    ),
    (
        r"no space left on device",
        ErrorCode.DISK_FULL,
        "No space is left on the gateway's disk.",
    ),
    (
        r"couldn't find remote ref HEAD",
        ErrorCode.REPOSITORY_EMPTY,
        "{url} has no commit yet.",
    ),
    (
        r"couldn't find remote ref|not our ref|no such remote ref",
        ErrorCode.REF_NOT_FOUND,
        "{url} has no branch, tag or commit {ref!r}.",
    ),
    (
        # GitHub asks for a user name where there is no public repository.
        (
            r"not found|does not exist|does not appear to be a git repository"
            r"|could not read Username|Authentication failed|terminal prompts disabled"
        ),
        ErrorCode.REPOSITORY_NOT_FOUND,
        "There is no repository to be read at {url}.",
    ),
)
"""What git says, the first that fits, what it means, and how that is told."""

_BLOCK = 512
"""What a plain ``sh`` counts the size of files in."""

_REDIRECTED = re.compile(r"returned error: 30[1-8]")


def network_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what a child process needs of ``environ`` to find programs and the network."""
    return {name: environ[name] for name in _PASSED_ON if name in environ}


async def fetch_commit(
    url: str, ref: str | None, *, hosts: Collection[str], git_dir: Path, tree: Path
) -> str:
    """Fetch one commit into ``git_dir`` and check it out, without ``.git``, into ``tree``.

    Parameters and errors as for ``fetch``; both directories are made.

    Returns
    -------
    The id of the commit, in 40 hexadecimal digits.
    """
    await make_git_dir(git_dir)
    commit = await fetch(git_dir, url, ref, hosts=hosts)
    await check_out(git_dir, tree)
    return commit


async def make_git_dir(git_dir: Path) -> None:
    """Make an empty git directory without a work tree."""
    await _git("init", "--quiet", "--bare", "--template=", str(git_dir))


async def fetch(
    git_dir: Path,
    url: str,
    ref: str | None,
    *,
    hosts: Collection[str],
    max_bytes: int | None = None,
) -> str:
    """Fetch one commit without its history, and make it the ``HEAD`` of ``git_dir``.

    What commits that ``git_dir`` has refs of share with it is not sent again.

    Parameters
    ----------
    url
        A repository that ``repository.check_url`` let through.
    ref
        Branch, tag or full commit id; the default branch if ``None``.
    hosts
        Hosts that the repository's own one may redirect to.
    max_bytes
        Most that may be sent.

    Returns
    -------
    The id of the commit, in 40 hexadecimal digits.

    Raises
    ------
    BackendError
        If there is no such repository or commit, it could not be reached, or is too large.
    """
    try:
        await _fetch(git_dir, url, ref, hosts, max_bytes)
    except _GitError as error:
        if max_bytes is not None and _was_cut_off(git_dir, max_bytes):
            raise too_large(f"More than {max_bytes} bytes would have to be fetched") from None
        raise _explain(error.stderr, url, ref) from None
    try:
        commit = (await _git("rev-parse", "--verify", "FETCH_HEAD^{commit}", of=git_dir)).strip()
    except _GitError:
        raise BackendError(
            ErrorCode.REF_NOT_FOUND, f"{ref!r} of {url} does not lead to a commit."
        ) from None
    await _git("update-ref", "--no-deref", "HEAD", commit, of=git_dir)
    return commit


async def _fetch(
    git_dir: Path, url: str, ref: str | None, hosts: Collection[str], max_bytes: int | None
) -> None:
    async def fetch_from(address: str) -> None:
        await _git(
            "fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules",
            "--end-of-options", address, ref or "HEAD",
            of=git_dir, max_file_bytes=max_bytes,
        )  # fmt: skip

    try:
        await fetch_from(url)
    except _GitError as error:
        if not _REDIRECTED.search(error.stderr):
            raise
        # Only now, so that the many that do not redirect are asked once.
        target = await settled(url, hosts)
        if target == url:
            raise BackendError(
                ErrorCode.REPOSITORY_UNREACHABLE,
                f"{url} redirects in the middle of a fetch, which is not followed.",
            ) from None
        await fetch_from(target)


def _was_cut_off(git_dir: Path, max_bytes: int) -> bool:
    """Whether git was killed because a file came to the limit, of which it says nothing."""
    unfinished = (git_dir / "objects/pack").glob("tmp_*")
    return any(file.stat().st_size >= max_bytes // _BLOCK * _BLOCK for file in unfinished)


async def check_out(git_dir: Path, tree: Path) -> None:
    """Write the files of ``HEAD`` into a new directory; the index tells how they are there.

    Raises
    ------
    BackendError
        If they cannot be written.
    """
    tree.mkdir(parents=True)
    try:
        await _git("--work-tree", str(tree), "read-tree", "-m", "-u", "HEAD", of=git_dir)
    except _GitError as error:
        raise not_checked_out(error.stderr) from None


async def tree_entries(git_dir: Path, read: Callable[[bytes], None]) -> None:
    """Hand the entries of ``HEAD``'s tree to ``read``, a chunk of lines at a time.

    A line has mode, type, id and size, which is ``-`` for what is no file, then a tab and the
    path. What ``read`` raises ends it: a small repository can have a tree without end.
    """

    async def hand_on(stream: asyncio.StreamReader | None) -> bytes:
        rest = b""
        while stream is not None and (chunk := await stream.read(65536)):
            whole, end, rest = (rest + chunk).rpartition(b"\0")
            read(whole + end)
        return b""

    try:
        await _git("ls-tree", "-r", "-t", "-z", "--long", "HEAD", of=git_dir, read=hand_on)
    except _GitError as error:
        raise not_checked_out(error.stderr) from None


async def join_packs(git_dir: Path) -> None:
    """Put all that is reachable into one pack, and leave out the rest.

    Raises
    ------
    BackendError
        If that does not work; the repository can be used as before.
    """
    try:
        await _git("repack", "-a", "-d", "-q", of=git_dir)
    except _GitError as error:
        raise not_checked_out(error.stderr) from None


class _GitError(Exception):
    def __init__(self, stderr: str) -> None:
        super().__init__(stderr)
        self.stderr = stderr


async def _git(
    *arguments: str,
    of: Path | None = None,
    max_file_bytes: int | None = None,
    read: Callable[[asyncio.StreamReader | None], Awaitable[bytes]] | None = None,
) -> str:
    environment = {
        **network_environment(os.environ),
        "LC_ALL": "C",
        # Else passwords for hosts are looked up in the real one.
        "HOME": os.devnull,
        # Nobody is there to be asked, and no setting of this machine may redirect a fetch.
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_ALLOW_PROTOCOL": "https:file",
        "GIT_LFS_SKIP_SMUDGE": "1",
    }
    settings = (
        "-c", "core.hooksPath=/dev/null", "-c", "safe.directory=*", "-c", "gc.auto=0",
        "-c", "maintenance.auto=false", "-c", "http.followRedirects=false",
        # Packs can be shared by linking them, and are as long as what was sent.
        "-c", "fetch.unpackLimit=1",
        *(("--git-dir", str(of)) if of else ()),
    )  # fmt: skip
    limit: tuple[str, ...] = ()
    if max_file_bytes is not None:
        limit = (
            "sh",
            "-c",
            'ulimit -f "$1"; shift; exec "$@"',
            "sh",
            str(max_file_bytes // _BLOCK),
        )
    try:
        ended = await run(
            *limit, "git", *settings, *arguments,
            environment=environment, seconds=CLONE_SECONDS, read=read,
        )  # fmt: skip
    except FileNotFoundError:
        raise BackendError(ErrorCode.GIT_MISSING, "git is not installed, or not on PATH.") from None
    except TimeoutError:
        raise BackendError(
            ErrorCode.REPOSITORY_UNREACHABLE, f"git did not finish within {CLONE_SECONDS} s."
        ) from None
    if ended.code != 0:
        raise _GitError(ended.said)
    return ended.stdout.decode(errors="replace")


def _explain(stderr: str, url: str, ref: str | None) -> BackendError:
    for cause, code, said in _CAUSES:
        if re.search(cause, stderr, re.IGNORECASE):
            return BackendError(code, said.format(url=url, ref=ref))
    said = f"{url} could not be fetched: {_reason(stderr)}"
    return BackendError(ErrorCode.REPOSITORY_UNREACHABLE, said)


def not_checked_out(said: str) -> BackendError:
    """Return what an error of git's means that has to do with this machine, not with a server."""
    if "No space left" in said:
        return BackendError(ErrorCode.DISK_FULL, "No space is left on the gateway's disk.")
    reason = _reason(said)
    return BackendError(ErrorCode.SANDBOX_FAILED, f"The commit could not be checked out: {reason}")


def _reason(said: str) -> str:
    """Return the line that says why; behind it git says what follows, and what to do."""
    lines = said.splitlines() or ["git gave no reason"]
    return next((line for line in lines if line.startswith("fatal: ")), lines[-1])


def too_large(what: str) -> BackendError:
    """Return the error of a repository that is over one of the limits."""
    return BackendError(ErrorCode.REPOSITORY_TOO_LARGE, f"{what}, more than is allowed here.")
