"""Whatever a report is written as, what others wrote in it is text and nothing else."""

import csv
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from aideator_gateway.command.terminal.reports import report_parts
from aideator_gateway.experiments.report.document import STYLE, policy
from aideator_gateway.experiments.report.links import Links
from aideator_gateway.experiments.report.model import Report
from aideator_gateway.experiments.report.writing import FORMS, written
from tests.experiments.finished import LABELS, carried_out, hostile, of_rates, plays, reported


@pytest.fixture
def report(tmp_path: Path) -> Report:
    carried_out(tmp_path, *hostile())
    return reported(tmp_path)


class Seen(HTMLParser):
    """Collects what a browser would make of a document."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str, str]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_html_is_text_loads_nothing_and_runs_nothing(report: Report) -> None:
    html = written(report, "html", Links("http://127.0.0.1:8000"))
    seen = Seen(html)
    assert seen.open == []
    assert not seen.tags & {"script", "img", "iframe", "link", "object", "b", "i", "u", "form"}
    names = {name for _, name, _ in seen.attributes}
    assert not names & {"style", "src", "srcset", "onload", "onerror", "onclick", "xlink:href"}
    hrefs = {value for _, name, value in seen.attributes if name == "href"}
    assert hrefs and all(value.startswith("http://127.0.0.1:8000/#/runs/run_") for value in hrefs)
    assert "\u202e" not in html and "\u200b" not in html
    assert "url(" not in STYLE and "@import" not in STYLE
    assert policy() in html.replace("&#x27;", "'")


def test_the_style_has_names_of_its_own_and_all_that_are_used(report: Report) -> None:
    styled = set(re.findall(r"\.([a-z][a-z0-9-]*)(?=[^{}]*\{)", STYLE))
    assert {name for name in styled if not name.startswith("r-")} == set()
    seen = Seen(written(report, "html", Links()))
    used = {one for _, name, value in seen.attributes if name == "class" for one in value.split()}
    assert used - styled <= {"r-failed", "r-done", "r-missing", "r-passed"}
    assert {"r-passed", "r-failed", "r-warn", "r-good", "r-bar"} <= styled


def test_markdown_is_text(report: Report) -> None:
    text = written(report, "markdown", Links())
    outside = re.sub(r"(`{3,})toml.*?\n\1", "", text, flags=re.DOTALL)
    assert "````" in text, "a fence is longer than what is in it"
    assert not re.search(r"(?<!\\)<(?!/#/runs/run_)", outside)
    assert not re.search(r"(?<!\\)\]\((?!<)", outside)
    tables = [line for line in outside.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in tables} == {11, 5}


def test_csv_is_no_formula(report: Report) -> None:
    rows = list(csv.DictReader(io.StringIO(written(report, "csv", Links()))))
    assert len(rows) == 18
    assert {row["condition"] for row in rows} == {
        f"'{LABELS[0]}",
        LABELS[1].replace("\u202e", r"\u202e"),
        LABELS[2],
    }


def test_a_table_fits_80_columns_and_commands_no_terminal(report: Report) -> None:
    shown = Console(file=io.StringIO(), width=80, highlight=False, markup=False)
    for part in report_parts(report):
        shown.print(part)
    assert isinstance(shown.file, io.StringIO)
    lines = shown.file.getvalue().splitlines()
    assert max(map(cell_len, lines)) <= 80
    assert "\u202e" not in "".join(lines)
    # Each table's columns begin where its heading does, also behind wide characters.
    start = next(number for number, line in enumerate(lines) if "95 % interval" in line)
    ends = {cell_len(line[: line.index(" %") + 2]) for line in lines[start + 1 : start + 4]}
    assert len(ends) == 1


def test_nothing_done_is_still_a_report(tmp_path: Path) -> None:
    rates = {"A": [1.0], "B": [1.0]}
    what = of_rates(rates, budget_usd=1e-9, limits={"max_cost_usd": 1.0})
    carried_out(tmp_path, what, plays(rates))
    report = reported(tmp_path)
    assert (report.done, report.planned) == (0, 10)
    for form in FORMS:
        assert written(report, form, Links())
    list(report_parts(report))
