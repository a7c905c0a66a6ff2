"""Words and figures for people, and text of others made safe to show."""

import unicodedata

from aideator.protocol import Usage
from aideator_gateway.runs.model import PatchStat, Variation

COLOURS = ("cyan", "magenta", "yellow", "green", "blue")

SCRIPTED = "scripted demo, not an LLM"


def printable(text: str) -> str:
    """Return ``text`` with control characters made visible.

    What an agent or a repository says is text, never a command to the terminal; this takes
    escape sequences their force, and also what turns the direction of writing around.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_visible(character) for character in text)


def _visible(character: str) -> str:
    if character.isprintable() or character in "\t\n" or unicodedata.category(character) == "Zs":
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def money(cost_usd: float | None, *, scripted: bool) -> str:
    """Return a cost; a scripted model has none, and one without a known price says so."""
    if scripted:
        return "no cost"
    return "cost unknown" if cost_usd is None else f"${cost_usd:.4f}"


def figures(turns: int, usage: Usage, seconds: float | None, *, scripted: bool) -> list[str]:
    """Return turns, tokens, cost and time of a variation, each in words."""
    shown = [
        counted(turns, "turn"),
        counted(usage.tokens, "token"),
        money(usage.cost_usd, scripted=scripted),
    ]
    return shown if seconds is None else [*shown, duration(seconds)]


def duration(seconds: float) -> str:
    """Return a time span, in seconds below two minutes."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"


def counted(count: int, thing: str) -> str:
    """Return ``1 file``, ``2,000 files``."""
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"


def patch_size(stat: PatchStat | None) -> str:
    """Return what a patch changes."""
    if stat is None:
        return "no patch"
    if not stat.files:
        return "no change"
    return f"{counted(stat.files, 'file')}, +{stat.insertions} -{stat.deletions}"


def name(variation: Variation) -> str:
    """Return what a variation is called: its number, and its label or style if it has one."""
    label = variation.condition.name
    return (
        f"{variation.variation_id} ({printable(label)})" if label else str(variation.variation_id)
    )


def colour(variation_id: int) -> str:
    """Return the colour that tells a variation from its siblings."""
    return COLOURS[(variation_id - 1) % len(COLOURS)]


def sentence(text: str) -> str:
    """Return ``text`` with a full stop, so that another sentence can follow."""
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."
