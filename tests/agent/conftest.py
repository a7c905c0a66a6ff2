"""Fixtures for tests of the agent program."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from aideator_gateway.scripted_model.script import Reply
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.agent.sandbox import Sandbox

Play = Callable[..., ScriptedModel]


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    """Return a sandbox with a small repository."""
    return Sandbox(tmp_path, {"README.md": "# Tea\n\nHot.\n", "src/a.py": "x = 1\n"})


@pytest.fixture
def play() -> Iterator[Play]:
    """Return a function that starts a scripted model with the given replies."""
    with ExitStack() as stack:

        def start(*replies: Reply) -> ScriptedModel:
            given: Sequence[Reply] = replies
            return stack.enter_context(ScriptedModel(Script(default=given)))

        yield start
