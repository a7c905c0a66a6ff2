"""A report as HTML: one file without scripts that loads nothing."""

import base64
import hashlib
from pathlib import Path

from aideator_gateway.experiments.report.elements import Content, Element, element
from aideator_gateway.experiments.report.figures import figures
from aideator_gateway.experiments.report.grid import all_attempts, grid
from aideator_gateway.experiments.report.links import Links
from aideator_gateway.experiments.report.model import (
    Comparison,
    ConditionReport,
    People,
    Report,
)
from aideator_gateway.experiments.report.words import (
    Figure,
    between,
    dollars,
    flips_sentence,
    heading,
    people_sentences,
    percent,
    span,
    spent,
    strength,
    whole,
)
from aideator_gateway.experiments.statistics.estimate import Estimate

STYLE = Path(__file__).with_name("report.css").read_text(encoding="utf-8")

STYLE_ELEMENT = f"<style>{STYLE}</style>"


def policy() -> str:
    """Return the Content-Security-Policy of a report: its own style, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def document(report: Report, links: Links) -> str:
    """Return a report as one HTML file."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy()),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", f"{report.name} · AIdeator"),
    )
    body = element("body", element("main", article(report, links)), class_="page")
    # A style's text is no HTML text: it is ours, and goes in as it is.
    top = f"{str(head).removesuffix('</head>')}{STYLE_ELEMENT}</head>"
    return f'<!doctype html>\n<html lang="en">{top}{body}</html>\n'


def article(report: Report, links: Links) -> Element:
    """Return what is shown of a report, in a file of its own and on the page."""
    return element(
        "article",
        element(
            "header",
            element("h1", report.name),
            report.description and element("p", report.description),
            element("p", f"{heading(report)} · {spent(report)}", class_="soft"),
            [
                element("p", note, class_="note warn" if _is_warning(report, place) else "note")
                for place, note in enumerate(report.notes)
            ],
        ),
        _section("Conditions", _conditions(report)),
        _section("Compared", [_comparison(one) for one in report.comparisons])
        if report.comparisons
        else None,
        _section("Plots", element("div", figures(report), class_="figures")),
        _section("What people chose", _people(report.people)) if report.people else None,
        _section("Tasks", grid(report, links)),
        _section("To repeat it", _repetition(report)),
        _section("All attempts", all_attempts(report, links)),
        class_="report",
    )


def _is_warning(report: Report, place: int) -> bool:
    """Whether a note is one of the first, which say that this is no result yet, or none at all."""
    return place < report.scripted + (not report.complete)


def _section(title: str, *content: Content) -> Element:
    return element("section", element("h2", title), *content)


def scrolling(label: str, *content: Content) -> Element:
    """Return what may be wider than its window."""
    return element("div", *content, class_="scroll", tabindex="0", role="region", aria_label=label)


def _conditions(report: Report) -> Element:
    titles = (
        "#", "Condition", "Attempts", "Checks passed", "One of k passes", "Cost", "Tokens", "Time",
        "Turns", "Lines changed", "Spread between repeats",
    )  # fmt: skip
    return scrolling(
        "Conditions",
        element(
            "table",
            element("caption", "Medians of an attempt, with 95 % intervals"),
            element("thead", element("tr", [element("th", t, scope="col") for t in titles])),
            element(
                "tbody", [_condition(n, one, report) for n, one in enumerate(report.conditions, 1)]
            ),
        ),
    )


def _condition(number: int, one: ConditionReport, report: Report) -> Element:
    details = [one.model, one.provider, "baseline" if one.baseline else None]
    cost: Content = "no cost" if report.scripted else _figure(one.cost_usd, dollars, "unknown")
    return element(
        "tr",
        element(
            "td",
            element("span", str(number), class_=f"key series-{(number - 1) % 6 + 1}"),
        ),
        element(
            "th",
            one.name,
            element("small", " · ".join(part for part in details if part)),
            scope="row",
        ),
        element(
            "td",
            f"{one.done} of {one.planned}",
            element("small", f"{one.repeated} repeated") if one.repeated else None,
        ),
        element("td", _figure(one.pass_rate, percent), element("small", _passed(one))),
        element(
            "td",
            [element("div", f"k = {p.k}: ", _figure(p.chance, percent)) for p in one.pass_at_k]
            or "-",
        ),
        element("td", cost),
        element("td", _figure(one.tokens, whole)),
        element("td", _figure(one.seconds, span)),
        element("td", _figure(one.turns, whole)),
        element("td", _figure(one.patch_lines, whole)),
        element("td", "-" if one.repeats_share is None else percent(one.repeats_share)),
    )


def _passed(one: ConditionReport) -> str | None:
    return f"{one.passed} of {one.checked}" if one.checked else None


def _figure(found: Estimate | None, figure: Figure, missing: str = "-") -> Content:
    return missing if found is None else (figure(found.value), _interval(found, figure))


def _interval(found: Estimate, figure: Figure) -> Content:
    return element("small", between(found, figure)) if found.interval else None


def _comparison(one: Comparison) -> Content:
    kind = {"more": "good", "fewer": "bad"}.get(one.verdict or "", "soft")
    return (
        element("p", one.sentence, class_=f"sentence {kind}"),
        element("p", text, class_="flips soft") if (text := flips_sentence(one)) else None,
    )


def _people(people: People) -> Content:
    titles = ("Condition", "Chosen", "Strength (Bradley-Terry)")
    return (
        element("p", people_sentences(people), class_="soft"),
        scrolling(
            "What people chose",
            element(
                "table",
                element("thead", element("tr", [element("th", t, scope="col") for t in titles])),
                element(
                    "tbody",
                    [
                        element(
                            "tr",
                            element("th", one.condition, scope="row"),
                            element("td", _figure(one.win_rate, percent)),
                            element("td", _figure(one.strength, strength, "cannot tell")),
                        )
                        for one in people.preferences
                    ],
                ),
            ),
        ),
    )


def _repetition(report: Report) -> Content:
    again = report.repetition
    facts = {
        "Models": ", ".join(again.models),
        "Versions": ", ".join(f"{n} {' and '.join(v)}" for n, v in again.versions.items()),
        "Agents ran in": "; ".join(again.backends),
        "Began": again.began_at and f"{again.began_at:%Y-%m-%d %H:%M} UTC",
        "Last attempt ended": again.ended_at and f"{again.ended_at:%Y-%m-%d %H:%M} UTC",
        "Seed": str(again.seed),
        "Limits": ", ".join(f"{name} {value:g}" for name, value in again.limits.items()),
        "An attempt may cost": dollars(again.share_usd),
    }
    commits = dict.fromkeys(
        (t.repository, t.ref or "default branch", t.commit) for t in report.tasks
    )
    return (
        element(
            "dl",
            [
                element("div", element("dt", name), element("dd", said))
                for name, said in facts.items()
                if said
            ],
            [
                element(
                    "div", element("dt", f"{url}, {ref}"), element("dd", commit or "not known yet")
                )
                for url, ref, commit in commits
            ],
        ),
        element(
            "details",
            element("summary", "The experiment's file, with these commits"),
            scrolling("File", element("pre", again.file)),
        ),
    )
