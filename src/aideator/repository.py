"""One exact commit of a repository, resolved once by the engine's own git."""

import re
from dataclasses import dataclass

import dagger
from dagger import Directory, Secret, dag

from aideator.errors import engine_message, unusable
from aideator.protocol import ErrorCode, check_ref, repository_url
from aideator.protocol.addresses import shown

# The engine's words for what git told it.
_DENIED = re.compile(r"authentication (failed|required)|repository not found", re.IGNORECASE)
_NO_REF = re.compile(
    r"does not contain ref|couldn't find remote ref|not our ref|sha fetch unsupported",
    re.IGNORECASE,
)
_UNEXPLAINED = re.compile(r"git error: exit status \d+$")


@dataclass(frozen=True)
class Commit:
    """A commit and its tree, without ``.git``."""

    id: str
    tree: Directory


async def files(source: Directory, *, keep_ignored: bool) -> Directory:
    """Return what agents may see of a directory that the caller gave: never its ``.git``.

    What ``.gitignore`` names stays out unless asked for: that is where people keep
    passwords and gigabytes, and neither is for a model to read.

    Raises
    ------
    FunctionError
        Nothing is left.
    """
    tree = source.filter(exclude=["**/.git"], gitignore=not keep_ignored)
    if not await tree.entries():
        raise unusable("source", "it holds no files, or none but those that .gitignore names.")
    return tree


async def resolve(
    url: str, ref: str | None, token: Secret | None, *, argument: str = "repo"
) -> Commit:
    """Return the commit that ``ref`` names now.

    Parameters
    ----------
    url
        ``https://host/path``.
    ref
        Branch, tag or full commit id; the default branch if ``None``.
    token
        Password for a private repository.
    argument
        What the caller knows ``url`` as.

    Raises
    ------
    FunctionError
        There is no such repository or commit, or it cannot be reached.
    """
    try:
        address = str(repository_url(url))
    except ValueError as error:
        problem = f"{shown(url)!r:.200}: {error}; for a private repository give --token."
        raise unusable(argument, problem) from None
    try:
        name = check_ref(ref) if ref is not None else None
    except ValueError as error:
        raise unusable("ref", f"{ref!r:.80}: {error}.") from None
    repository = dag.git(address, http_auth_token=token)
    reference = repository.ref(name) if name else repository.head()
    try:
        commit = await reference.commit()
        tree = await reference.tree(discard_git_dir=True).sync()
    except dagger.QueryError as error:
        raise _explained(engine_message(error), url, ref, argument) from None
    return Commit(commit, tree)


def _explained(said: str, url: str, ref: str | None, argument: str) -> Exception:
    if _DENIED.search(said):
        return unusable(
            argument,
            f"there is no repository to be read at {url}; check the URL, "
            "and give --token if it is private.",
            ErrorCode.REPOSITORY_NOT_FOUND,
        )
    if _NO_REF.search(said):
        if ref:
            problem = f"{url} has no branch, tag or commit {ref!r}."
            return unusable("ref", problem, ErrorCode.REF_NOT_FOUND)
        problem = f"{url} has no commit yet; push one, then run again."
        return unusable(argument, problem, ErrorCode.REPOSITORY_EMPTY)
    # The engine keeps what git said to itself, but for its exit code.
    cause = "" if _UNEXPLAINED.search(said) else f" ({said})"
    return unusable(
        argument,
        f"{url} cannot be reached, or is no repository{cause}; check the URL and the network, "
        "and give --token if it is private.",
        ErrorCode.REPOSITORY_UNREACHABLE,
    )
