"""What each attempt at each task came to, with the way to its patch and transcript."""

from aideator_gateway.experiments.report.elements import Content, Element, element
from aideator_gateway.experiments.report.links import Links
from aideator_gateway.experiments.report.model import AttemptFacts, Report, TaskFacts
from aideator_gateway.experiments.report.words import dollars, span, whole

MOST = 1_000
"""Attempts that are listed one by one; of more the CSV is the better list."""


def grid(report: Report, links: Links) -> Content:
    """Return a table of tasks by conditions; a mark for each attempt leads to its patch."""
    cells = report.cells()
    titles = [
        element("th", element("span", str(n), class_=f"key series-{(n - 1) % 6 + 1}"), c.name,
                scope="col")
        for n, c in enumerate(report.conditions, 1)
    ]  # fmt: skip
    rows = [
        element(
            "tr",
            element("th", _task(task), scope="row"),
            [_cell(cells.get((task.name, c.name), []), links) for c in report.conditions],
        )
        for task in report.tasks
    ]
    return (
        element(
            "p",
            "A mark is an attempt, and leads to its patch: ",
            _mark("passed"), " passed, ",
            _mark("failed"), " not passed, ",
            _mark("done"), " no check, ",
            _mark("missing"), " no result yet.",
            class_="soft legend",
        ),
        element(
            "div",
            element(
                "table",
                element("thead", element("tr", element("th", "Task", scope="col"), titles)),
                element("tbody", rows),
                class_="grid",
            ),
            class_="scroll", tabindex="0", role="region", aria_label="Tasks by conditions",
        ),
    )  # fmt: skip


def _task(task: TaskFacts) -> Content:
    return element(
        "details",
        element("summary", task.name),
        element("p", task.prompt, class_="prompt"),
        element("p", element("code", task.check), class_="prompt") if task.check else None,
        element("small", ", ".join(task.tags)) if task.tags else None,
    )


_SIGNS = {"passed": "\u2713", "failed": "\u2717", "done": "\u2022", "missing": "\u2013"}


def _mark(kind: str) -> Element:
    return element("span", _SIGNS[kind], class_=f"mark {kind}")


def _kind(attempt: AttemptFacts) -> str:
    if not attempt.done:
        return "missing"
    return {True: "passed", False: "failed", None: "done"}[attempt.passed]


_SAID = {
    "passed": "passed",
    "failed": "not passed",
    "done": "done, no check",
    "missing": "no result yet",
}


def _cell(attempts: list[AttemptFacts], links: Links) -> Element:
    done = [a for a in attempts if a.done and a.passed is not None]
    share = f"{sum(a.passed is True for a in done)}/{len(done)}" if done else ""
    marks = [_attempt(attempt, links) for attempt in attempts]
    return element("td", element("div", marks, element("span", share), class_="marks"))


def _attempt(attempt: AttemptFacts, links: Links) -> Element:
    kind = _kind(attempt)
    words = f"repeat {attempt.repeat}: {_SAID[kind]}"
    if attempt.run_id is None or attempt.variation_id is None:
        return element("span", _SIGNS[kind], class_=f"mark {kind}", title=words)
    return element(
        "a",
        _SIGNS[kind],
        element("span", f" {attempt.task}, {attempt.condition}, {words}", class_="unseen"),
        href=links.patch(attempt.run_id, attempt.variation_id),
        title=words,
        class_=f"mark {kind}",
    )


def all_attempts(report: Report, links: Links) -> Content:
    """Return a list of all attempts."""
    if len(report.attempts) > MOST:
        return element(
            "p", f"They are {len(report.attempts):,}, too many to be listed here: write the report "
            "as CSV.", class_="soft",
        )  # fmt: skip
    titles = (
        "Task", "Condition", "Repeat", "Result", "Ended", "Cost", "Tokens", "Time", "Turns",
        "Lines", "Patch and transcript",
    )  # fmt: skip
    return element(
        "details",
        element("summary", "Each attempt, with its run"),
        element(
            "div",
            element(
                "table",
                element("thead", element("tr", [element("th", t, scope="col") for t in titles])),
                element("tbody", [_row(one, links) for one in report.attempts]),
            ),
            class_="scroll", tabindex="0", role="region", aria_label="All attempts",
        ),
    )  # fmt: skip


def _row(one: AttemptFacts, links: Links) -> Element:
    lines = None if one.insertions is None else f"+{one.insertions} -{one.deletions}"
    cells: tuple[Content, ...] = (
        one.task, one.condition, str(one.repeat),
        element("span", _SAID[_kind(one)], class_=_kind(one)),
        (one.ended, element("small", one.why, class_="why") if one.why else None),
        None if one.cost_usd is None else dollars(one.cost_usd),
        None if one.tokens is None else whole(one.tokens),
        None if one.seconds is None else span(one.seconds),
        None if one.turns is None else str(one.turns), lines, _links(one, links),
    )  # fmt: skip
    return element("tr", [element("td", cell) for cell in cells])


def _links(one: AttemptFacts, links: Links) -> Content:
    if one.run_id is None or one.variation_id is None:
        return None
    which = f" of {one.task}, {one.condition}, repeat {one.repeat}"
    return (
        element("a", "patch", element("span", which, class_="unseen"),
                href=links.patch(one.run_id, one.variation_id)),
        " \u00b7 ",
        element("a", "transcript", element("span", which, class_="unseen"),
                href=links.transcript(one.run_id)),
        element("small", f"{one.run_id} {one.variation_id}"),
    )  # fmt: skip
