"""A small real task: a repository, a prompt, a check, and a scripted solution."""

import asyncio
import functools
import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aideator_gateway.backends.local.sandbox import bubblewrap_command, bubblewrap_problem
from aideator_gateway.scripted_model.script import Reply
from tests.support.repositories import git

CHECK_SECONDS = 60


@dataclass(frozen=True)
class Verdict:
    """What a check said."""

    passed: bool
    output: str


@dataclass(frozen=True)
class SmallTask:
    """One directory beside this file; README.md says what is in it."""

    directory: Path

    @property
    def name(self) -> str:
        """What it is called by."""
        return self.directory.name

    @property
    def prompt(self) -> str:
        """What an agent is asked."""
        return (self.directory / "prompt.md").read_text(encoding="utf-8").strip()

    @property
    def replies(self) -> Sequence[Reply]:
        """A conversation that solves it, as the scripted model's part."""
        replies: Sequence[Reply] = importlib.import_module(
            f"tests.tasks.{self.name}.solution"
        ).REPLIES
        return replies

    def make_repository(self, path: Path) -> Path:
        """Commit what an agent gets to a new Git repository, and return its path."""
        shutil.copytree(self.directory / "repo", path, ignore=shutil.ignore_patterns("__pycache__"))
        git(path, "init", "--quiet", "--initial-branch=main")
        git(path, "add", "--all")
        git(path, "commit", "--quiet", "--message=First")
        return path

    def check(self, repository: Path, patch: bytes, place: Path) -> Verdict:
        """Apply a patch to a fresh clone and let the check decide.

        A check starts what an agent wrote: it gets no key, a time limit, and bubblewrap's
        view of the machine where that works.

        Parameters
        ----------
        repository
            What the agent was given.
        place
            A directory to make for it.
        """
        place.mkdir(parents=True)
        tree = place / "tree"
        git(place, "clone", "--quiet", "--no-hardlinks", str(repository), str(tree))
        if patch:
            git(tree, "apply", "--whitespace=nowarn", "-", stdin=patch)
        script = shutil.copy(self.directory / "check.py", place / "check.py")
        words = [sys.executable, "-I", "-B", script, str(tree)]
        if _bubblewrap_works():
            words = [*bubblewrap_command(place), *words]
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(place), "PYTHONDONTWRITEBYTECODE": "1",
        }  # fmt: skip
        try:
            done = subprocess.run(
                words, cwd=place, env=environment, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=CHECK_SECONDS,
                check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return Verdict(passed=False, output=f"It did not end within {CHECK_SECONDS} s.")
        return Verdict(done.returncode == 0, done.stdout.decode(errors="replace"))


@functools.cache
def _bubblewrap_works() -> bool:
    return asyncio.run(bubblewrap_problem()) is None


def small_tasks() -> list[SmallTask]:
    """Return all tasks, by name."""
    prompts = Path(__file__).parent.glob("*/prompt.md")
    return sorted((SmallTask(prompt.parent) for prompt in prompts), key=lambda task: task.name)
