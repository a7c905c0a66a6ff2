"""Real Git repositories for tests."""

import os
import subprocess
from pathlib import Path

FILES = {
    "README.md": "# Sample\n\nA small program that greets.\n",
    "greet.py": 'def greet(name):\n    return "Hello, " + name\n\n\nprint(greet("world"))\n',
    "docs/guide.md": "# Guide\n\nRun `python greet.py`.\n",
}

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    # What is thrown away in a moment need neither be tidied nor outlive a power cut.
    "GIT_CONFIG_COUNT": "2",
    "GIT_CONFIG_KEY_0": "maintenance.auto",
    "GIT_CONFIG_VALUE_0": "false",
    "GIT_CONFIG_KEY_1": "core.fsync",
    "GIT_CONFIG_VALUE_1": "none",
    "GIT_AUTHOR_NAME": "Test",
    "GIT_AUTHOR_EMAIL": "test@example.com",
    "GIT_COMMITTER_NAME": "Test",
    "GIT_COMMITTER_EMAIL": "test@example.com",
}


def git(path: Path, *arguments: str, stdin: bytes | None = None) -> str:
    """Run git in ``path`` and return what it printed."""
    done = subprocess.run(
        ["git", "-C", str(path), *arguments],
        input=stdin,
        capture_output=True,
        check=False,
        env=ENVIRONMENT,
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout.decode(errors="replace").strip()


def make_repository(path: Path, files: dict[str, str] | None = None) -> Path:
    """Create a repository with one commit of ``files`` and return its path."""
    path.mkdir(parents=True)
    git(path, "init", "--quiet", "--initial-branch=main")
    for name, content in (files or FILES).items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    git(path, "add", "--all")
    git(path, "commit", "--quiet", "--message=First")
    return path


def apply_patch(repository: Path, patch: bytes, checkout: Path) -> Path:
    """Apply a patch with ``git apply`` to a fresh checkout of the repository's HEAD."""
    checkout.parent.mkdir(parents=True, exist_ok=True)
    git(repository, "worktree", "add", "--quiet", "--detach", str(checkout))
    git(checkout, "apply", "--check", "-", stdin=patch)
    git(checkout, "apply", "-", stdin=patch)
    return checkout
