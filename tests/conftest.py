"""Fixtures that more than one kind of test needs."""

import os
import random
import signal
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.gateways import Gateway, serving
from tests.support.https_git import Certificate, GitServer, https_git
from tests.support.repositories import make_repository
from tests.support.stage import Stage, staged

# Whoever starts the tests in the background may have them ignore these, and programs that they
# start with them; to a person at a terminal they mean something.
for _number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(
            _number,
            signal.default_int_handler if _number is signal.SIGINT else signal.SIG_DFL,
        )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One more than there are processors: a third of the time a test waits for a program."""
    del config
    return (os.cpu_count() or 1) + 1


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--shuffle", type=int, metavar="SEED", help="run files, and tests in them, in another order"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    seed = config.getoption("--shuffle")
    if seed is None:
        # What takes longest comes first, so that no process has it to itself in the end.
        items.sort(key=lambda item: not {"e2e", "page"} & set(item.path.parts))
        return
    # The same in each process that runs a part of them.
    chance = random.Random(seed)  # noqa: S311 - no secret hangs on it
    chance.shuffle(items)
    # What a file sets up for all its tests is set up once.
    place = {path: number for number, path in enumerate(dict.fromkeys(i.path for i in items))}
    items.sort(key=lambda item: place[item.path])


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a real Git repository with one commit."""
    return make_repository(tmp_path / "repository")


@pytest.fixture
def short() -> Iterator[Path]:
    """Return a directory in which a socket's path is short enough."""
    with tempfile.TemporaryDirectory(prefix="t-") as name:
        yield Path(name)


@pytest.fixture(scope="session")
def shared_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository that no test changes."""
    return make_repository(tmp_path_factory.mktemp("shared") / "repository")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """Return a certificate for this machine's loopback."""
    return Certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="session")
def git_servers(
    tmp_path_factory: pytest.TempPathFactory, certificate: Certificate
) -> Iterator[list[GitServer]]:
    """Return three servers, each with the same repository ``user/repo``."""
    root = tmp_path_factory.mktemp("git")
    make_repository(root / "user" / "repo")
    with ExitStack() as stack:
        yield [
            stack.enter_context(https_git(root, certificate.chain, certificate.key))
            for _ in range(3)
        ]


@pytest.fixture(scope="session")
def demo_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Return a gateway with the scripted demo, for tests that only start runs of their own."""
    data_dir = tmp_path_factory.mktemp("gateway") / "data"
    flags = ("--demo", "--backend", "local", "--allow-file", "--demo-tokens-per-second", "1000")
    with serving(data_dir, *flags) as gateway:
        yield gateway


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Return a gateway whose model says what each test tells it to, in runs of their own."""
    with staged(tmp_path_factory.mktemp("stage") / "data") as stage:
        yield stage
