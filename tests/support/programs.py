"""Stand-ins on PATH: each does something of its own, and then is the program it stands for."""

import os
import shlex
import shutil
import time
from pathlib import Path

_HELD_SECONDS = 120


class Programs:
    """A directory of stand-ins, ahead of all others on ``path``."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self._directory = directory
        self.path = f"{directory}{os.pathsep}{os.environ['PATH']}"

    def write(self, name: str, script: str) -> None:
        """Put a shell script in a program's place."""
        program = self._directory / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    def real(self, name: str) -> str:
        """Return the shell words that become the program itself."""
        found = shutil.which(name)
        assert found
        return f'exec {shlex.quote(found)} "$@"'

    def fail(self, name: str) -> None:
        """Let a program do nothing, and say that it failed."""
        self.write(name, "exit 1")

    def hold(self, name: str, part: str = "") -> None:
        """Let a program, where ``part`` is in its arguments, wait until it is let go."""
        self.write(
            name,
            f'case " $* " in *"{part}"*) ;; *) {self.real(name)};; esac\n'
            f"echo $$ >> {self._held(name)}\n"
            # Not for ever, should a test fail that was to let it go.
            f"for _ in $(seq {_HELD_SECONDS}0); do\n"
            f"[ -e {self._held(name)}.go ] && break; sleep 0.1\ndone\n"
            f"{self.real(name)}",
        )

    def let_go(self, name: str) -> None:
        """Let a program go on that was held, and hold it no more."""
        Path(f"{self._held(name)}.go").touch()

    def wait_held(self, name: str, count: int = 1, seconds: float = 60) -> None:
        """Wait until so many of the program are held."""
        deadline = time.monotonic() + seconds
        held = self._held(name)
        while not held.exists() or len(held.read_text().splitlines()) < count:
            assert time.monotonic() < deadline, f"{name} was not started {count} times"
            time.sleep(0.02)

    def record(self, name: str, then: str | None = None) -> None:
        """Let a program write down its arguments and its environment, and then be itself."""
        file = f"{shlex.quote(str(self._directory))}/{name}.$$.record"
        self.write(name, f'{{ echo "$@"; env; }} > {file}\n{then or self.real(name)}')

    @property
    def records(self) -> dict[str, list[str]]:
        """What has been written down: by program, the text of each time it was started."""
        found: dict[str, list[str]] = {}
        for file in self._directory.glob("*.record"):
            found.setdefault(file.name.split(".")[0], []).append(file.read_text(errors="replace"))
        return found

    def _held(self, name: str) -> Path:
        return self._directory / f"{name}.held"


def path_without(directory: Path, *names: str) -> str:
    """Return a PATH on which there is what is on this one, but for the programs named."""
    directory.mkdir()
    for place in os.environ["PATH"].split(os.pathsep):
        for program in Path(place).glob("*"):
            link = directory / program.name
            if program.name not in names and not link.is_symlink():
                link.symlink_to(program)
    return str(directory)
