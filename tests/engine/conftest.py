"""Fixtures for tests on a real Dagger engine."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.module import Module
from tests.engine.session import EngineError, Session, missing


@pytest.fixture(scope="session")
def engine() -> None:
    """Skip what needs an engine where none can be reached, and say what is missing."""
    lacking = missing()
    if lacking is None:
        try:
            with Session():
                return
        except (EngineError, OSError, ValueError) as error:
            lacking = str(error)
    if os.environ.get("AIDEATOR_REQUIRE_ENGINE"):
        pytest.fail(lacking)
    pytest.skip(lacking)


@pytest.fixture(scope="session")
def module(engine: None, shared_repository: Path) -> Iterator[Module]:  # noqa: ARG001  # Skips.
    """Return the module, served in one session for all tests."""
    with Session() as session:
        session.serve()
        yield Module(session, shared_repository)
