"""Words and figures for people."""

from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

from aideator.protocol import Usage
from aideator_gateway.printable import one_line
from aideator_gateway.runs.model import PatchStat, Variation

COLOURS = ("cyan", "magenta", "yellow", "green", "blue")

SCRIPTED = "scripted demo, not an LLM"


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
    return f"{variation.variation_id} ({one_line(label)})" if label else str(variation.variation_id)


def short_name(variation: Variation) -> str:
    """Return the same where there is least room, as before each line of a variation."""
    return one_line(f"{variation.variation_id} {variation.condition.name or ''}".rstrip())


def numbered(numbers: Sequence[int]) -> str:
    """Return ``variation 1``, ``variations 1 and 2``."""
    return f"variation{'s' if len(numbers) > 1 else ''} {joined(numbers)}"


def repository(url: str) -> str:
    """Return what a repository is called for short: ``owner/name``, or a path's last part."""
    parts = [part for part in urlsplit(url).path.split("/") if part and part != ".git"]
    kept = parts[-1:] if url.startswith("file:") else parts[-2:]
    return one_line(unquote("/".join(kept)).removesuffix(".git")) or one_line(url)


def joined(things: Sequence[object]) -> str:
    """Return ``1``, ``1 and 2``, ``1, 2 and 3``."""
    items = [str(thing) for thing in things]
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def colour(variation_id: int) -> str:
    """Return the colour that tells a variation from its siblings."""
    return COLOURS[(variation_id - 1) % len(COLOURS)]


def sentence(text: str) -> str:
    """Return ``text`` with a full stop, so that another sentence can follow."""
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."
