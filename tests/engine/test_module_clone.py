"""Repositories over https: branches, tags, commits, private ones, and those that are not there.

The engine has to trust the server's certificate. So this needs one for ``localhost`` that it
does trust: AIDEATOR_TEST_TLS_CERT and AIDEATOR_TEST_TLS_KEY name its files.
"""

import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.engine.module import Module, creates
from tests.engine.session import EngineError
from tests.support.https_git import GitServer, https_git
from tests.support.repositories import git, make_repository

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]

TOKEN = secrets.token_hex(8)


@pytest.fixture(scope="module")
def certificate() -> tuple[Path, Path]:
    """Return the files of a certificate that the engine trusts, and of its key."""
    names = ("AIDEATOR_TEST_TLS_CERT", "AIDEATOR_TEST_TLS_KEY")
    for name in names:
        if name not in os.environ:
            pytest.skip(f"{name} is not set: no certificate that the engine trusts")
    one, two = (Path(os.environ[name]) for name in names)
    return one, two


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with a repository of two commits, and an empty one."""
    root = tmp_path_factory.mktemp("git")
    repository = make_repository(root / "full", {"file.txt": "one\n", ".gitignore": "kept.txt\n"})
    git(repository, "tag", "v1")
    (repository / "file.txt").write_text("two\n")
    (repository / "kept.txt").write_text("ignored, yet committed\n")
    git(repository, "add", "--all", "--force")
    git(repository, "commit", "--quiet", "--message=Second")
    git(repository, "branch", "feature/two")
    git(root, "init", "--quiet", "empty")
    return root


@pytest.fixture(scope="module")
def server(certificate: tuple[Path, Path], root: Path) -> Iterator[str]:
    """Return the address of a server without passwords."""
    with https_git(root, *certificate) as git:
        yield by_name(git)


def by_name(server: GitServer) -> str:
    """Return the server's address as the certificate has it."""
    return server.url.replace("127.0.0.1", "localhost")


def clone(module: Module, fields: str, **given: str | None) -> object:
    words = ",".join(f"{name}:{json.dumps(value)}" for name, value in given.items() if value)
    return module.ask(f"clone({words}){{{fields}}}")["clone"]


@pytest.mark.parametrize(
    ("ref", "content"),
    [(None, "two\n"), ("v1", "one\n"), ("feature/two", "two\n"), ("refs/tags/v1", "one\n")],
)
def test_a_ref(module: Module, server: str, ref: str | None, content: str) -> None:
    found = clone(module, 'entries file(path:"file.txt"){contents}', url=f"{server}/full", ref=ref)
    assert isinstance(found, dict)
    assert found["file"]["contents"] == content
    assert ".git/" not in found["entries"]


def test_a_run_starts_from_one_commit(module: Module, server: str, root: Path) -> None:
    commit = git(root / "full", "rev-parse", "v1")
    with ScriptedModel(Script(default=creates("new.txt"))) as model:
        run = module.run(
            "commit summary variations{status directory{entries}}", model.base_url,
            repo=f"{server}/full", ref=commit, variations=2,
        )  # fmt: skip
    assert run["commit"] == commit
    assert commit in run["summary"]
    assert [v["status"] for v in run["variations"]] == ["completed", "completed"]
    # What is committed is there, whatever .gitignore says of it.
    assert run["variations"][0]["directory"]["entries"] == [".gitignore", "file.txt", "new.txt"]


def test_what_is_not_there_is_one_line(module: Module, server: str) -> None:
    def told(**given: str) -> str:
        with pytest.raises(EngineError) as caught:
            clone(module, "entries", **given)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "cannot be reached, or is no repository; check" in told(url=f"{server}/none")
    assert "url: " in (line := told(url=f"{server}/empty"))
    assert "has no commit yet" in line
    for ref in ("none", "0" * 40):
        line = told(url=f"{server}/full", ref=ref)
        assert f"has no branch, tag or commit '{ref}'" in line
        assert line.startswith("FunctionError: ref: ")


def test_a_private_repository_by_its_token(
    module: Module, certificate: tuple[Path, Path], root: Path
) -> None:
    with https_git(root, *certificate, token=TOKEN) as git:
        server = by_name(git)
        with pytest.raises(EngineError, match=r"url: there is no repository to be read.*--token"):
            clone(module, "entries", url=f"{server}/full")
        secret = module.session.secret("token", TOKEN)
        found = clone(module, "entries", url=f"{server}/full", ref="v1", token=secret)
    assert found == {"entries": [".gitignore", "file.txt"]}
