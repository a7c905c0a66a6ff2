"""Which files there are, as git sees them: what is ignored is left out."""

import asyncio
import os
from pathlib import Path

from aideator.agent.git import Git, GitError
from aideator.agent.tools.base import ToolError
from aideator.agent.workspace import Workspace

_SECONDS = 10.0
_MAX_LISTING_BYTES = 32 * 1024 * 1024
_SPECIAL = frozenset("*?[\\")


async def files_below(git: Git, workspace: Workspace, path: str, pattern: str) -> list[str]:
    """Return the files below ``path``, relative to the root and sorted.

    Parameters
    ----------
    path
        A directory or file of the repository.
    pattern
        Glob relative to ``path``; without a slash it matches names in every directory;
        empty matches all.

    Raises
    ------
    ToolError, WorkspaceError
        The path is not there or in a submodule, or the answer would be too long or take too
        long.
    """
    if "\0" in pattern:
        raise ToolError("The glob has a null character. Leave it out.")
    real = workspace.resolve(path)
    workspace.refuse_submodule(path, real)
    if not real.exists():
        raise ToolError(f"{path} does not exist. Use list_files without a path to see what does.")
    glob = _glob(workspace, real, pattern)
    try:
        async with asyncio.timeout(_SECONDS):
            out = await git.run(
                *("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", glob),
                glob=True,
                limit=_MAX_LISTING_BYTES,
            )
    except TimeoutError:
        raise ToolError(f"Listing took more than {_SECONDS:g} s. Narrow it with path.") from None
    except GitError as error:
        raise ToolError(f"The files could not be listed: {error}") from error
    if len(out) > _MAX_LISTING_BYTES:
        raise ToolError("There are too many files. Narrow it with path or pattern.")
    names = {name.decode("utf-8", "surrogateescape") for name in out.split(b"\0") if name}
    # The index also names files that are gone.
    return sorted(name for name in names if os.path.lexists(workspace.root / name))


def _glob(workspace: Workspace, real: Path, pattern: str) -> str:
    base = "" if real == workspace.root else str(real.relative_to(workspace.root))
    escaped = "".join(f"\\{c}" if c in _SPECIAL else c for c in base)
    if not real.is_dir():
        return escaped
    # The model may write the pattern as it writes paths.
    pattern = pattern.removeprefix("./").removeprefix("/")
    if not pattern:
        pattern = "**"
    elif "/" not in pattern:
        pattern = f"**/{pattern}"
    return f"{escaped}/{pattern}" if escaped else pattern
