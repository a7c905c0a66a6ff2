"""Take the pictures of the terminal view in docs/images: real runs of the scripted demo.

Usage: python scripts/terminal_pictures.py

Needs tmux, which is the terminal: what it shows is what a person would see. The runs work on
a small repository that is made for them, and cost nothing.
"""

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

IMAGES = Path(__file__).parent.parent / "docs" / "images"
AIDEATOR = Path(sys.executable).with_name("aideator")
SECONDS = 90.0

FILES = {
    "README.md": "# Greeter\n\nA small program that greets.\n",
    "greet.py": 'def greet(name):\n    return "Hello, " + name\n\n\nprint(greet("world"))\n',
    "tests/test_greet.py": "from greet import greet\n\n\ndef test():\n    assert greet('a')\n",
}

COMMAND = 'aideator run . "Make it easier to find your way around" --demo --backend local'


class Screen:
    """A terminal of a given size with a shell in a directory."""

    def __init__(
        self, width: int, height: int, directory: Path, environment: dict[str, str]
    ) -> None:
        self._socket = f"aideator-pictures-{os.getpid()}-{width}"
        # Each has its own runs: the command on one may still end when the next one starts.
        self._environment = {**environment, "AIDEATOR_DATA_DIR": f"{environment['HOME']}/{width}"}
        self.width = width
        self._tmux(
            "-f", os.devnull, "new-session", "-d", "-x", str(width), "-y", str(height),
            "-c", str(directory), "env PS1='$ ' sh",
        )  # fmt: skip
        self._tmux("set-option", "-g", "status", "off")

    def _tmux(self, *words: str) -> str:
        return subprocess.run(
            ["tmux", "-L", self._socket, *words],
            env=self._environment, check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip

    def type(self, text: str) -> None:
        """Type a line."""
        self._tmux("send-keys", text, "Enter")

    def wait_for(self, shown: Callable[[str], bool]) -> None:
        """Wait until the screen is as asked for."""
        deadline = time.monotonic() + SECONDS
        while not shown(text := self._tmux("capture-pane", "-p")):
            if time.monotonic() > deadline:
                raise TimeoutError(text)
            time.sleep(0.1)

    def picture(self, name: str) -> None:
        """Write what the screen shows as an SVG."""
        shown = self._tmux("capture-pane", "-e", "-p").rstrip("\n")
        console = Console(
            width=self.width, file=io.StringIO(), record=True, force_terminal=True,
            color_system="truecolor",
        )  # fmt: skip
        console.print(Text.from_ansi(shown), soft_wrap=True)
        svg = console.export_svg(title="aideator", theme=MONOKAI, unique_id=name)
        # A picture loads nothing from elsewhere; any monospaced font will do.
        svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
        svg = svg.replace("<svg ", '<svg xml:space="preserve" ', 1)
        path = IMAGES / f"{name}.svg"
        path.write_text(svg, encoding="utf-8")
        sys.stdout.write(f"{path}: {path.stat().st_size:,} bytes\n")

    def close(self) -> None:
        """End the terminal and what runs in it."""
        self._tmux("kill-server")


def _repository(path: Path) -> None:
    path.mkdir()
    for name, content in FILES.items():
        file = path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(content)
    identity = ("-c", "user.name=Greeter", "-c", "user.email=greeter@example.com")
    for words in (
        ("init", "--quiet", "--initial-branch=main"),
        ("add", "--all"),
        (*identity, "commit", "--quiet", "--message=First"),
    ):
        subprocess.run(["git", "-C", str(path), *words], check=True)


def main() -> int:
    """Take all pictures."""
    if shutil.which("tmux") is None:
        sys.stderr.write("tmux is missing: install it (Debian: apt-get install tmux).\n")
        return 1
    IMAGES.mkdir(exist_ok=True)
    repository = Path(tempfile.gettempdir()) / "greeter"  # shown, so it is a name to read
    with tempfile.TemporaryDirectory(prefix="aideator-pictures-") as data:
        _repository(repository)
        environment = {
            "PATH": f"{AIDEATOR.parent}:{os.environ['PATH']}",
            "HOME": data,
            "LANG": "C.UTF-8",
            "AIDEATOR_DEMO_TOKENS_PER_SECOND": "30",
        }
        try:
            _take(repository, environment)
        finally:
            shutil.rmtree(repository)
    return 0


def _take(repository: Path, environment: dict[str, str]) -> None:
    wide = Screen(200, 34, repository, environment)
    try:
        wide.type(COMMAND)
        wide.wait_for(lambda text: len(re.findall(r"running · turn [3-9] ", text)) == 3)
        time.sleep(1)  # to catch them in the middle of a sentence
        wide.picture("terminal-200")
    finally:
        wide.close()
    narrow = Screen(80, 24, repository, environment)
    try:
        narrow.type(COMMAND)
        narrow.wait_for(lambda text: re.search(r"running · turn [3-9] ", text) is not None)
        narrow.picture("terminal-80")
        narrow.wait_for(lambda text: "Look or choose" in text)
        narrow.type("q")
    finally:
        narrow.close()
    tall = Screen(100, 40, repository, {**environment, "PAGER": "cat"})
    try:
        tall.type("clear; " + COMMAND)
        tall.wait_for(lambda text: "Look or choose" in text)
        tall.type("d 1 2")
        tall.wait_for(lambda text: text.count("Look or choose") == 2)
        tall.picture("terminal-choose")
        tall.type("c 2")
        tall.wait_for(lambda text: "Why variation 2?" in text)
        tall.type("")
        tall.wait_for(lambda text: "Winner: variation 2" in text)
        tall.type("clear; aideator show 2; aideator apply; git status --short")
        tall.wait_for(lambda text: re.search(r"^( M|\?\?) ", text, re.MULTILINE) is not None)
        tall.picture("terminal-apply")
    finally:
        tall.close()


if __name__ == "__main__":
    sys.exit(main())
