"""Runs and variations as tables."""

from collections.abc import Mapping, Sequence

from rich.table import Table
from rich.text import Text

from aideator.protocol import StopReason
from aideator_gateway.command.terminal.events import CHECK_STYLES, check_label
from aideator_gateway.command.terminal.pane import STYLES
from aideator_gateway.command.terminal.text import (
    SCRIPTED,
    counted,
    duration,
    money,
    patch_size,
    repository,
)
from aideator_gateway.printable import one_line, printable
from aideator_gateway.runs.model import Run, Variation

PROMPT = 100
"""Most characters of a prompt that a list shows."""

FILES = 8
"""Most files that a table of them lists."""


def variations_table(run: Run, same: Mapping[int, int] | None = None) -> Table:
    """Return how each variation of a run went.

    Parameters
    ----------
    run
        The run.
    same
        Which variations have the very patch of an earlier one, and of which.
    """
    same = same or {}
    models = {v.condition.model or run.model for v in run.variations}
    labelled = any(v.condition.label for v in run.variations)
    styled = any(v.condition.style for v in run.variations)
    served = any(v.condition.provider for v in run.variations)
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("#", justify="right")
    if labelled:
        table.add_column("label", no_wrap=True, overflow="ellipsis", max_width=24)
    if styled:
        table.add_column("style", no_wrap=True, overflow="ellipsis", max_width=24)
    if served:
        table.add_column("provider", no_wrap=True, overflow="ellipsis", max_width=24)
    if len(models) > 1:
        table.add_column("model", no_wrap=True, overflow="ellipsis", max_width=24)
    table.add_column("status")
    for title in ("turns", "tokens", "cost", "time"):
        table.add_column(title, justify="right", no_wrap=True)
    if run.check:
        table.add_column("check", no_wrap=True)
    table.add_column("patch")
    for variation in run.variations:
        won = variation.variation_id == run.winning_variation_id
        table.add_row(
            str(variation.variation_id),
            *([Text(one_line(variation.condition.label or ""))] if labelled else []),
            *([Text(one_line(variation.condition.style or ""))] if styled else []),
            *([Text(one_line(variation.condition.provider or "default"))] if served else []),
            *([Text(one_line(variation.condition.model or run.model))] if len(models) > 1 else []),
            _status(variation),
            str(variation.turns),
            f"{variation.usage.tokens:,}",
            money(variation.usage.cost_usd, scripted=run.scripted).removeprefix("cost "),
            "" if variation.seconds is None else duration(variation.seconds),
            *([_check(variation)] if run.check else []),
            Text(_patch(variation, same) + (" · winner" if won else "")),
            style="bold" if won else None,
        )
    return table


def files_table(files: Mapping[str, Sequence[int]], numbers: Sequence[int]) -> Table:
    """Return which variations touched which files; those that several did stand out.

    Parameters
    ----------
    files
        Numbers of variations for each file.
    numbers
        Those of all variations.
    """
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis")
    for file, touched in list(files.items())[:FILES]:
        who = [str(number) if number in touched else "·" for number in numbers]
        table.add_row(" ".join(who), Text(one_line(file)), style="bold" if touched[1:] else "dim")
    if len(files) > FILES:
        table.add_row("", f"… {counted(len(files) - FILES, 'more file')}", style="dim")
    return table


def _patch(variation: Variation, same: Mapping[int, int]) -> str:
    first = same.get(variation.variation_id)
    return patch_size(variation.patch) + (f" · same as {first}" if first else "")


def _status(variation: Variation) -> Text:
    why = variation.stop_reason or variation.code
    text = str(variation.status)
    # That it was done when it said so needs no words.
    if why and str(why) != text and why is not StopReason.END_TURN:
        text += f" ({why})"
    return Text(text, style=STYLES[variation.status])


def _check(variation: Variation) -> Text:
    check = variation.check
    if check is None:
        return Text("no result yet", style="dim")
    return Text(check_label(check), style=CHECK_STYLES[check.status])


def runs_table(runs: Sequence[Run]) -> Table:
    """Return a list of runs, one line each."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("run", no_wrap=True)
    table.add_column("started", no_wrap=True)
    table.add_column("status", no_wrap=True)
    table.add_column("winner", no_wrap=True)
    # Only these two give way where there is not room for all.
    table.add_column("repository", max_width=30)
    table.add_column("prompt")
    for run in runs:
        winner = run.winning_variation_id
        prompt = _brief(run.prompt)
        table.add_row(
            run.run_id,
            run.created_at.astimezone().strftime("%Y-%m-%d %H:%M"),
            Text(str(run.status), style=STYLES[run.status]),
            ("nobody" if run.selections else "")
            if winner is None
            else f"{winner} of {len(run.variations)}",
            *(
                Text(text, no_wrap=True, overflow="ellipsis")
                for text in (
                    repository(run.github_url),
                    f"[scripted] {prompt}" if run.scripted else prompt,
                )
            ),
        )
    return table


def _brief(prompt: str) -> str:
    """Return a prompt as one line, cut between words where it has some."""
    words = " ".join(printable(prompt).split())
    if len(words) <= PROMPT:
        return words
    return f"{words[:PROMPT].rpartition(' ')[0] or words[:PROMPT]} …"


def model_line(run: Run) -> str:
    """Return what a run works with: commit, isolation, copies, model."""
    parts = []
    if run.commit:
        parts.append(f"commit {run.commit[:12]}")
    if run.isolation:
        parts.append(f"isolation: {run.isolation}")
    if run.copies:
        parts.append(f"copies: {run.copies}")
    models = {v.condition.model or run.model for v in run.variations}
    scripted = f" ({SCRIPTED})" if run.scripted else ""
    parts.append(f"model: {one_line(', '.join(sorted(models)))}{scripted}")
    return " · ".join(parts)


def status_line(run: Run) -> str:
    """Return how a run stands, since when, and how long it took."""
    started = run.created_at.astimezone().strftime("%Y-%m-%d %H:%M")
    took = (
        f" · took {duration((run.ended_at - run.created_at).total_seconds())}"
        if (run.ended_at)
        else ""
    )
    place = f" (place {run.queue_position} in the queue)" if run.queue_position else ""
    return f"{run.status}{place} · started {started}{took}"


def title_line(run: Run, *, named: bool = True) -> str:
    """Return a run's id, if it shall be ``named``, and what it is about."""
    count = counted(len(run.variations), "variation")
    ref = f" at {one_line(run.ref)}" if run.ref else ""
    return f"{run.run_id + ': ' if named else ''}{count} of {one_line(run.github_url)}{ref}"
