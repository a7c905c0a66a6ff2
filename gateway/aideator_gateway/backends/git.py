"""One commit of a repository, fetched with git and nothing of the user's own settings."""

import os
import re
from collections.abc import Collection, Mapping
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
    (ErrorCode.DISK_FULL, r"no space left on device"),
    (ErrorCode.REPOSITORY_EMPTY, r"couldn't find remote ref HEAD"),
    (ErrorCode.REF_NOT_FOUND, r"couldn't find remote ref|not our ref|no such remote ref"),
    (
        ErrorCode.REPOSITORY_NOT_FOUND,
        # GitHub asks for a user name where there is no public repository.
        (
            r"not found|does not exist|does not appear to be a git repository"
            r"|could not read Username|Authentication failed|terminal prompts disabled"
        ),
    ),
)


_REDIRECTED = re.compile(r"returned error: 30[1-8]")


def network_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what a child process needs of ``environ`` to find programs and the network."""
    return {name: environ[name] for name in _PASSED_ON if name in environ}


async def fetch_commit(
    url: str, ref: str | None, *, hosts: Collection[str], git_dir: Path, tree: Path
) -> str:
    """Fetch one commit into ``git_dir`` and check it out, without ``.git``, into ``tree``.

    Parameters
    ----------
    url
        A repository that ``repository.check_url`` let through.
    ref
        Branch, tag or full commit id; the default branch if ``None``.
    hosts
        Hosts that the repository's own one may redirect to.

    Returns
    -------
    The id of the commit, in 40 hexadecimal digits.

    Raises
    ------
    BackendError
        If there is no such repository or commit, or it could not be reached.
    """
    tree.mkdir(parents=True)
    await _git("init", "--quiet", "--bare", "--template=", str(git_dir))
    git = ("--git-dir", str(git_dir))
    try:
        await _fetch(*git, url=url, ref=ref, hosts=hosts)
    except _GitError as error:
        raise _explain(error.stderr, url, ref) from None
    commit = (await _git(*git, "rev-parse", "--verify", "FETCH_HEAD^{commit}")).strip()
    await _git(*git, "update-ref", "--no-deref", "HEAD", commit)
    await _git(*git, "--work-tree", str(tree), "checkout", "--quiet", "--force", "HEAD", "--", ".")
    return commit


async def _fetch(*git: str, url: str, ref: str | None, hosts: Collection[str]) -> None:
    fetch = (
        *git, "fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules",
        "--end-of-options",
    )  # fmt: skip
    try:
        await _git(*fetch, url, ref or "HEAD")
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
        await _git(*fetch, target, ref or "HEAD")


class _GitError(Exception):
    def __init__(self, stderr: str) -> None:
        super().__init__(stderr)
        self.stderr = stderr


async def _git(*arguments: str) -> str:
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
        "-c", "http.followRedirects=false",
    )  # fmt: skip
    try:
        ended = await run(
            "git", *settings, *arguments, environment=environment, seconds=CLONE_SECONDS
        )
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
    last = stderr.splitlines()[-1] if stderr else "git gave no reason"
    code = next(
        (code for code, cause in _CAUSES if re.search(cause, stderr, re.IGNORECASE)),
        ErrorCode.REPOSITORY_UNREACHABLE,
    )
    said = {
        ErrorCode.REPOSITORY_EMPTY: f"{url} has no commit yet.",
        ErrorCode.REF_NOT_FOUND: f"{url} has no branch, tag or commit {ref!r}.",
        ErrorCode.REPOSITORY_NOT_FOUND: f"There is no repository to be read at {url}.",
        ErrorCode.DISK_FULL: "No space is left on the gateway's disk.",
    }.get(code, f"{url} could not be fetched: {last}")
    return BackendError(code, said)
