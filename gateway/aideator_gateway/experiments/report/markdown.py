"""A report as Markdown."""

import re
from collections.abc import Iterator, Sequence

from aideator_gateway.experiments.report.links import Links
from aideator_gateway.experiments.report.model import AttemptFacts, ConditionReport, Report
from aideator_gateway.experiments.report.words import (
    dollars,
    flips_sentence,
    heading,
    people_sentences,
    percent,
    span,
    spent,
    strength,
    whole,
    with_interval,
)
from aideator_gateway.printable import printable

_MARKUP = re.compile(r"([\\`*_\[\]<>|~&@$]|^[#+-])")
_FENCE = re.compile(r"`{3,}")


def markdown(report: Report, links: Links) -> str:
    """Return a report as Markdown, with tables as GitHub has them."""
    return "\n".join(_lines(report, links)) + "\n"


def _lines(report: Report, links: Links) -> Iterator[str]:
    yield f"# {_text(report.name)}"
    if report.description:
        yield from ("", _text(report.description))
    yield from ("", f"{_text(heading(report))} · {_text(spent(report))}")
    for note in report.notes:
        yield from ("", f"> {_text(note)}")
    yield from ("", "## Conditions", "")
    titles = (
        "condition", "attempts", "checks passed", "one of k passes", "cost", "tokens", "time",
        "turns", "lines changed", "spread between repeats",
    )  # fmt: skip
    yield from _table(titles, [_condition(one, report) for one in report.conditions])
    yield from ("", "Medians of an attempt, with 95 % intervals.")
    if report.comparisons:
        yield from ("", "## Compared", "")
        for one in report.comparisons:
            yield f"- {_text(one.sentence)}"
            if flipped := flips_sentence(one):
                yield f"  {_text(flipped)}"
    yield from _people(report)
    yield from ("", "## Tasks", "")
    cells = report.cells()
    names = [one.name for one in report.conditions]
    rows = [
        [_text(task.name), *(_cell(cells.get((task.name, name), []), links) for name in names)]
        for task in report.tasks
    ]
    yield from _table(["task", *map(_text, names)], rows)
    yield from _repetition(report)


def _condition(one: ConditionReport, report: Report) -> list[str]:
    share = one.repeats_share
    return [
        _text(f"{one.name} (baseline)" if one.baseline else one.name),
        f"{one.done} of {one.planned}",
        with_interval(one.pass_rate, percent),
        ", ".join(f"{p.k}: {with_interval(p.chance, percent)}" for p in one.pass_at_k) or "-",
        "no cost" if report.scripted else with_interval(one.cost_usd, dollars, "unknown"),
        with_interval(one.tokens, whole),
        with_interval(one.seconds, span),
        with_interval(one.turns, whole),
        with_interval(one.patch_lines, whole),
        "-" if share is None else percent(share),
    ]


def _people(report: Report) -> Iterator[str]:
    people = report.people
    if people is None:
        return
    yield from ("", "## What people chose", "")
    yield people_sentences(people)
    yield ""
    yield from _table(
        ("condition", "chosen", "strength (Bradley-Terry)"),
        [
            [
                _text(one.condition),
                with_interval(one.win_rate, percent),
                with_interval(one.strength, strength, "cannot tell"),
            ]
            for one in people.preferences
        ],
    )


def _cell(attempts: Sequence[AttemptFacts], links: Links) -> str:
    return " ".join(_mark(one, links) for one in attempts)


def _mark(one: AttemptFacts, links: Links) -> str:
    if not one.done or one.run_id is None or one.variation_id is None:
        return "-"
    sign = {True: "✓", False: "✗", None: "•"}[one.passed]
    return f"[{sign}](<{links.patch(one.run_id, one.variation_id)}>)"


def _repetition(report: Report) -> Iterator[str]:
    again = report.repetition
    yield from ("", "## To repeat it", "")
    yield f"- Models: {_text(', '.join(again.models))}"
    versions = ", ".join(f"{name} {' and '.join(v)}" for name, v in again.versions.items())
    yield f"- Versions: {_text(versions)}"
    if again.backends:
        yield f"- Agents ran in: {_text('; '.join(again.backends))}"
    for name, moment in (("Began", again.began_at), ("Last attempt ended", again.ended_at)):
        if moment is not None:
            yield f"- {name}: {moment:%Y-%m-%d %H:%M} UTC"
    yield f"- Seed: {again.seed}"
    yield f"- An attempt may cost: {_text(dollars(again.share_usd))}"
    for task in dict.fromkeys((t.repository, t.ref, t.commit) for t in report.tasks):
        url, ref, commit = task
        where = f"{url}, {ref}" if ref else url
        yield f"- {_text(where)}: {commit or 'commit not known yet'}"
    # A fence that is longer than any in the file.
    fence = "`" * max(3, 1 + max(map(len, _FENCE.findall(again.file)), default=0))
    yield from ("", f"{fence}toml", printable(again.file).rstrip("\n"), fence)


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(titles)} |"
    yield f"|{' --- |' * len(titles)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _text(text: str) -> str:
    """Return text that is no markup, in one line."""
    return _MARKUP.sub(r"\\\1", " ".join(printable(text).split()))
