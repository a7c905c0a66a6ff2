"""Experiments in words: how one goes on, and how it ended."""

from aideator_gateway.command.terminal.text import counted
from aideator_gateway.experiments.ending import Ending
from aideator_gateway.experiments.progress import Progress
from aideator_gateway.experiments.state import Spent


def dollars(usd: float) -> str:
    """Return an amount in US dollars: cents, or what there is below one."""
    return f"${usd:,.2f}" if usd >= 0.1 or usd == 0 else f"${usd:.4f}"


def spent_text(spent: Spent) -> str:
    """Return what was spent, and what of it is not known."""
    if not spent.unknown:
        return dollars(spent.usd)
    of = f"{counted(spent.unknown, 'attempt')} of unknown price"
    return f"{dollars(spent.usd)} and {of}" if spent.usd else of


def progress_text(now: Progress) -> str:
    """Return how an experiment goes on, as one line."""
    parts = [f"{now.done} of {counted(now.attempts, 'attempt')} done"]
    if now.running:
        parts.append(f"{now.running} at work")
    parts.append(f"{now.left} left")
    money = f"{spent_text(now.spent)} spent of {dollars(now.budget_usd)}"
    if now.expected_usd is not None and now.done < now.attempts:
        money += f", about {dollars(now.expected_usd)} in all"
    text = f"{', '.join(parts)} · {money}"
    if now.seconds_left and now.done < now.attempts:
        text += f" · about {_span(now.seconds_left)} to go"
    return text


def ending_text(ending: Ending, last: Progress | None) -> str:
    """Return how the work on an experiment ended."""
    done = f"{ending.done} of {counted(ending.attempts, 'attempt')} done"
    money = f", {spent_text(last.spent)} spent" if last else ""
    if ending.complete:
        return f"Complete: {done}{money}."
    return f"Not complete: {done}{money}. Run the same command again to go on."


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes / 60:.1f} h"
