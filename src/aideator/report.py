"""A run in words: a table for the shell, a page to keep, and JSON for programs."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from aideator.protocol import Condition, ErrorCode
from aideator.variation import Variation

_HEAD = (
    "#", "label", "style", "model", "status", "why", "turns", "tokens", "cost", "seconds",
    "patch", "check",
)  # fmt: skip
_FILES = ("changes", "patch", "directory", "transcript", "container")


def summary(run_id: str, commit: str | None, variations: Sequence[Variation]) -> str:
    """Return a table with one line a variation, and the cause and remedy of each failure."""
    rows = _rows(variations)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    head = f"{run_id}, commit {commit}" if commit else run_id
    problems = [
        f"variation {v.variation_id}: {problem}" for v in variations if (problem := _problem(v))
    ]
    return "\n".join([head, "", *table, *([""] if problems else []), *problems]) + "\n"


def markdown(run_id: str, commit: str | None, prompt: str, variations: Sequence[Variation]) -> str:
    """Return the run as a Markdown page."""
    lines = [f"# {run_id}", "", *(f"> {line}" for line in prompt.splitlines()), ""]
    if commit:
        lines += [f"Commit `{commit}`.", ""]
    rows = _rows(variations)
    head, *others = [f"| {' | '.join(map(_cell, row))} |" for row in rows]
    lines += [head, f"|{' --- |' * len(rows[0])}", *others]
    for v in variations:
        called = v.label or v.style
        title = f"{v.variation_id}: {called}" if called else str(v.variation_id)
        lines += ["", f"## Variation {title}", ""]
        lines += [_problem(v) or v.summary.strip() or "The agent said nothing at its end."]
        for name, value in Condition.model_validate_json(v.condition).details().items():
            lines += ["", f"{name}:", "", *(f"> {line}".rstrip() for line in value.splitlines())]
        if v.check:
            lines += ["", f"Check `{v.check.command}`: {_verdict(v)}", ""]
            lines += [f"    {line}" for line in v.check.output.splitlines()]
    return "\n".join(lines) + "\n"


def machine_readable(
    run_id: str, commit: str | None, prompt: str, variations: Sequence[Variation]
) -> str:
    """Return the run as JSON: the fields of ``Run`` and ``Variation`` that are no files."""
    data = {
        "run_id": run_id,
        "commit": commit,
        "prompt": prompt,
        "variations": [_fields(variation) for variation in variations],
    }
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _fields(variation: Variation) -> dict[str, Any]:
    found = {name: value for name, value in vars(variation).items() if name not in _FILES}
    found["condition"] = json.loads(variation.condition)
    found["usage"] = asdict(variation.usage)
    found["check"] = asdict(variation.check) if variation.check else None
    return found


def _rows(variations: Sequence[Variation]) -> list[tuple[str, ...]]:
    """Return the table, without columns that would say nothing."""
    rows = [_HEAD, *(_row(variation) for variation in variations)]
    columns = [
        column
        for column in zip(*rows, strict=True)
        if column[0] not in ("style", "check") or set(column[1:]) != {"-"}
    ]
    return list(zip(*columns, strict=True))


def _row(v: Variation) -> tuple[str, ...]:
    cost = v.usage.cost_usd
    return (
        str(v.variation_id),
        v.label or "-",
        v.style or "-",
        v.model,
        v.status,
        v.stop_reason or v.error_code or "-",
        str(v.turns),
        str(v.usage.tokens),
        "unknown" if cost is None else f"${cost:.4f}",
        f"{v.seconds:.1f}",
        "too long" if v.patch_truncated else f"+{v.insertions} -{v.deletions}",
        _verdict(v),
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _verdict(v: Variation) -> str:
    if v.check is None:
        return "-"
    if v.check.passed:
        return f"passed in {v.check.seconds:.1f} s"
    if v.check.exit_code is None:
        return "did not finish"
    return f"failed ({v.check.exit_code}) in {v.check.seconds:.1f} s"


def _problem(v: Variation) -> str:
    if v.error_code is None:
        return ""
    return f"{v.error_code}: {v.message} {ErrorCode(v.error_code).remedy}"
