"""Keys while a run is watched: they say who is looked at, and leave the terminal as it was."""

import os
import re
import signal
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aideator_gateway.command.terminal.focus import SETTLED_SECONDS
from aideator_gateway.scripted_model.script import Hang, Reply, Text
from tests.support.command import Terminal, on_terminal
from tests.support.gateways import COMMAND
from tests.support.screens import Screen
from tests.support.stage import Stage

CTRL_C, CTRL_Z = "\x03", "\x1a"
TAB, BACK_TAB = "\t", "\x1b[Z"
UP, DOWN, RIGHT, LEFT = "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D"
RAW = termios.ICANON | termios.ECHO


def talks(number: int) -> list[Reply]:
    return [[Text([f"v{number}-{word} " for word in range(10_000)], pace=0.05), Hang()]]


TURNS: dict[int, list[Reply]] = {1: talks(1), 2: talks(2), 3: [[Text("v3-only"), Hang()]]}


def seen(rows: list[str]) -> int | None:
    """Return the variation that is looked at, if its line and what is below it agree."""
    marked = [row for row in rows if row.startswith("▸ ")]
    titles = [row for row in rows if "╭─ variation " in row]
    if len(marked) != 1 or len(titles) != 1 or f"╭─ variation {marked[0][2]} " not in titles[0]:
        return None
    number = marked[0][2]
    says = [row for row in rows if row.startswith("│") and f"v{number}-" in row]
    return int(number) if says else None


@contextmanager
def watching(
    stage: Stage, repository: Path, width: int, height: int, *program: str
) -> Iterator[tuple[Terminal, Screen]]:
    stage.play(TURNS)
    command = [*program, COMMAND, "run", ".", "Talk.", *stage.data_dir]
    with on_terminal(command, repository, width, height, {}) as shown:
        yield shown, Screen(shown, width, height)


def test_keys_say_who_is_looked_at_in_80_by_24(stage: Stage, repository: Path) -> None:
    with watching(stage, repository, 80, 24) as (shown, screen):
        screen.wait_until(lambda rows: any("1-3, Tab, arrows: look at one" in row for row in rows))
        shown.type("3")
        screen.wait_until(lambda rows: seen(rows) == 3)
        # Whoever was chosen stays, though all others go on and this one says nothing more.
        screen.stays(lambda rows: seen(rows) in (3, None), SETTLED_SECONDS + 1)
        for key, number in (
            (TAB, 1), (RIGHT, 2), (DOWN, 3), (LEFT, 2), (UP, 1), (BACK_TAB, 3), ("2", 2), ("9", 2),
            ("x", 2), ("3", 3),
        ):  # fmt: skip
            shown.type(key)
            screen.wait_until(lambda rows, number=number: seen(rows) == number)  # type: ignore[misc]
        shown.type("0")
        screen.wait_until(lambda rows: seen(rows) in (1, 2), SETTLED_SECONDS + 5)
        # What was typed is not shown.
        assert not [row for row in screen.rows if re.search(r"\^\[|^[0-9x]+$", row)]
        shown.type(CTRL_C)
        assert shown.finish() == 130


SHELL = ("bash", "-mc", '"$@"; echo "left $?"; stty -a; fg 2>/dev/null; echo "all is over"', "sh")
"""A shell with job control, which says how it found the terminal."""


def modes_said(shown: Terminal) -> set[str]:
    shown.read_until("-cmspar")
    shown.read_until("extproc")
    said = shown.output.decode(errors="replace").rpartition("left ")[2]
    return set(re.findall(r"-?\b(?:icanon|echo)\b", said))


def child(shown: Terminal) -> int:
    children = Path(f"/proc/{shown.process.pid}/task/{shown.process.pid}/children")
    return int(children.read_text().split()[0])


@pytest.mark.parametrize("way", ["Ctrl-C", "SIGTERM", "SIGHUP"])
def test_the_terminal_is_put_back_on_every_way_out(
    stage: Stage, repository: Path, way: str
) -> None:
    with watching(stage, repository, 80, 24, *SHELL) as (shown, screen):
        assert shown.modes & RAW == RAW
        screen.wait_until(seen)
        assert shown.modes & RAW == 0
        if way == "Ctrl-C":
            shown.type(CTRL_C)
        else:
            os.kill(child(shown), getattr(signal, way))
        shown.read_until("left 130")
        assert modes_said(shown) == {"icanon", "echo"}


def test_ctrl_z_leaves_the_terminal_as_it_was_and_coming_back_takes_it_again(
    stage: Stage, repository: Path
) -> None:
    with watching(stage, repository, 80, 24, *SHELL) as (shown, screen):
        screen.wait_until(seen)
        shown.type("3")
        screen.wait_until(lambda rows: seen(rows) == 3)
        before = len(shown.output)
        shown.type(CTRL_Z)
        shown.read_until(f"left {128 + signal.SIGTSTP}")
        assert modes_said(shown) == {"icanon", "echo"}
        assert b"\x1b[?25h" in shown.output[before:]
        # The shell has brought it back by now: keys work as before, on a screen drawn anew.
        screen.wait_until(lambda rows: seen(rows) == 3 and not any("icanon" in r for r in rows))
        shown.type("1")
        screen.wait_until(lambda rows: seen(rows) == 1)
        shown.type(CTRL_C)
        shown.read_until("all is over")
        assert shown.modes & RAW == RAW


def test_an_error_puts_the_terminal_back(tmp_path: Path) -> None:
    program = (
        "import contextlib, threading\n"
        "from aideator_gateway.command.terminal.keys import Keys\n"
        "pressed = threading.Event()\n"
        "keys = Keys(lambda key: pressed.set(), print)\n"
        "with contextlib.closing(keys):\n"
        "    keys.open()\n"
        "    print('ready', flush=True)\n"
        "    pressed.wait()\n"
        "    raise RuntimeError('crash')\n"
    )
    with on_terminal([sys.executable, "-c", program], tmp_path, 80, 24, {}) as shown:
        shown.read_until("ready")
        assert shown.modes & RAW == 0
        shown.type("x")
        shown.read_until("RuntimeError: crash")
        assert shown.modes & RAW == RAW


def test_ctrl_c_stops_no_thread_that_draws(tmp_path: Path) -> None:
    """Linux can lose the wake-up of one that waits for room while Ctrl-C makes some."""
    program = (
        "import contextlib, os, signal, threading\n"
        "from aideator_gateway.command.terminal.keys import Keys\n"
        "heard, over = [], threading.Event()\n"
        "def draw():\n"
        "    while not over.is_set():\n"
        "        os.write(1, b'.' * 20_000 + b'heard %d.' % len(heard))\n"
        "signal.signal(signal.SIGINT, lambda *_: heard.append(1))\n"
        "keys = Keys(lambda key: over.set(), print)\n"
        "with contextlib.closing(keys):\n"
        "    keys.open()\n"
        "    thread = threading.Thread(target=draw)\n"
        "    thread.start()\n"
        "    thread.join()\n"
    )
    with on_terminal([sys.executable, "-c", program], tmp_path, 80, 24, {}) as shown:
        for count in range(40):
            shown.read_until(f"heard {count}.", 30)
            shown.output = b""
            # Nothing is read meanwhile, so that there is no room for what is drawn.
            assert shown.process.poll() is None
            time.sleep(0.02)
            shown.type(CTRL_C)
        shown.type("x")
        assert shown.finish() == 0


def test_a_window_that_is_resized_shows_what_fits_and_nothing_of_before(
    stage: Stage, repository: Path
) -> None:
    def side_by_side(rows: list[str]) -> bool:
        tops = [row for row in rows if "╭" in row]
        return (
            [row.count("╭") for row in tops] == [3]
            and "".join(rows).count("╰") == 3
            and all(len(row) == 120 for row in tops)
            and not any(row.startswith("▸") for row in rows)
        )

    def one_below(rows: list[str]) -> bool:
        joined = "".join(rows)
        return seen(rows) is not None and joined.count("╭") == joined.count("╰") == 1

    with watching(stage, repository, 120, 40) as (shown, screen):
        screen.wait_until(side_by_side)
        for width, height, fits in (
            (60, 40, one_below), (120, 40, side_by_side), (60, 24, one_below),
            (120, 30, side_by_side),
        ):  # fmt: skip
            screen.resize(width, height)
            screen.wait_until(fits)
            # And so it stays; a picture that is half drawn says neither.
            screen.stays(lambda rows: rows, 1)
            screen.wait_until(fits, 10)
        shown.type(CTRL_C)
        assert shown.finish() == 130
