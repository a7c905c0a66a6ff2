"""A run in a terminal: one labelled line at a time, then patches and a question."""

import sys
from typing import Any

from rich.console import Console
from rich.syntax import Syntax
from rich.text import Text

from gateway.schemas import Run, Variation

COLOURS = ("cyan", "magenta", "yellow", "green", "blue")
WIDTH = 100
"""A line of text is shown once it has this many characters, or ends."""


class LiveLines:
    """Shows a stream of events as lines that say whose they are.

    Parameters
    ----------
    console
        Where to.
    labels
        A name for each variation id.
    """

    def __init__(self, console: Console, labels: dict[int, str]) -> None:
        self._console = console
        self._labels = labels
        self._partial: dict[int, str] = {}

    def show(self, name: str, data: dict[str, Any]) -> None:
        """Show one event of the stream."""
        number = data.get("variation_id")
        if number is None:
            return
        if name == "message" and data["type"] in ("agent_output", "thinking"):
            style = "dim" if data["type"] == "thinking" else ""
            self._say(number, data["content"], style)
            return
        self._flush(number)
        line, style = _describe(name, data)
        if line:
            self._line(number, line, style)

    def _say(self, number: int, text: str, style: str) -> None:
        *whole, rest = (self._partial.get(number, "") + text).split("\n")
        for line in whole:
            self._line(number, line, style)
        while len(rest) > WIDTH:
            cut = rest.rfind(" ", 0, WIDTH) + 1 or WIDTH
            self._line(number, rest[:cut], style)
            rest = rest[cut:]
        self._partial[number] = rest

    def _flush(self, number: int) -> None:
        if rest := self._partial.pop(number, ""):
            self._line(number, rest, "")

    def _line(self, number: int, line: str, style: str) -> None:
        label = Text(f"[{self._labels[number]}] ", style=COLOURS[(number - 1) % len(COLOURS)])
        # What an agent says is text, never markup or a control sequence of the terminal.
        self._console.print(label + Text(printable(line), style=style), soft_wrap=True)


def printable(text: str) -> str:
    """Return ``text`` with control characters made visible."""
    return "".join(c if c.isprintable() or c in "\t\n" else f"\\x{ord(c):02x}" for c in text)


def _describe(name: str, data: dict[str, Any]) -> tuple[str, str]:
    if name == "completion":
        cost = money(data["usage"]["cost_usd"])
        used = f"{data['turns']} turns, {data['seconds']:.1f} s, {cost}"
        return f"completed ({data['stop_reason']}): {used}", "bold green"
    if name == "error":
        return f"{data['status']} ({data['code']}): {data['message']}", "bold red"
    match data["type"]:
        case "tool_call":
            return f"→ {data['name']} {_brief(data['input'])}", "bold"
        case "tool_result":
            first = data["content"].split("\n", 1)[0]
            return f"← {first[:WIDTH]}", "red" if data["is_error"] else "dim"
        case "retry":
            return f"{data['message']}; again in {data['wait_seconds']:.1f} s", "yellow"
        case "patch":
            return (
                f"patch: {data['patch']['files']} files, "
                f"+{data['patch']['insertions']} -{data['patch']['deletions']}",
                "bold",
            )
        case "status":
            return data["content"], "dim"
    return "", ""


def _brief(arguments: Any) -> str:
    if not isinstance(arguments, dict):
        return str(arguments)[:WIDTH]
    parts = []
    for key, value in arguments.items():
        text = str(value).replace("\n", "⏎")
        parts.append(f"{key}={text if len(text) <= 40 else text[:39] + '…'}")
    return " ".join(parts)


def money(cost_usd: float | None) -> str:
    """Return a cost for people."""
    return "cost unknown" if cost_usd is None else f"${cost_usd:.4f}"


def label(variation: Variation) -> str:
    """Return the name a variation is shown under."""
    name = variation.condition.label
    return f"{variation.variation_id} {name}" if name else str(variation.variation_id)


def show_patch(console: Console, variation: Variation, patch: bytes) -> None:
    """Print one patch as a unified diff, with its size before it."""
    stat = variation.patch
    size = f"{stat.files} files, +{stat.insertions} -{stat.deletions}" if stat else "none"
    console.print()
    console.print(
        Text(f"── variation {label(variation)}: {size}, {len(patch)} bytes ", style="bold"),
        soft_wrap=True,
    )
    text = patch.decode(errors="replace")
    if console.is_terminal:
        console.print(Syntax(printable(text), "diff", background_color="default", word_wrap=True))
    else:
        # Piped, a patch stays what it is, to the byte.
        console.file.flush()
        sys.stdout.buffer.write(patch)
        sys.stdout.buffer.flush()


def summary_line(run: Run, variation: Variation) -> str:
    """Return one line on how a variation went."""
    del run
    how = variation.stop_reason or variation.message or ""
    return f"{label(variation)}: {variation.status} {how}".rstrip()
