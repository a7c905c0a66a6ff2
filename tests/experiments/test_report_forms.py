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
from tests.experiments.finished import carried_out, of_rates, plays, reported
from tests.experiments.scripted_gateway import task

EVIL = (
    "</script><script>ran=1</script><img src=x onerror=ran=2>\"'><svg onload=ran=3> "
    "</title></style>&lt; \u202eturned\u202c \u200b|`code`|[x](javascript:ran=4)"
)
LABELS = (
    '=HYPERLINK("http://evil","x")',
    "<b onclick=ran=5>|`**bold**`\u202e</td>",
    "指示 🚀 wide wide wide wide wide wide",
)


@pytest.fixture
def hostile(tmp_path: Path) -> Report:
    rates = {label: [1.0, 0.5, 0.0] for label in LABELS}
    what = of_rates(
        rates,
        repeats=2,
        description=EVIL,
        tasks=[
            task("0", prompt="Do 0.\n# Title\n```\n<script>ran=6</script>", check=f"echo '{EVIL}'"),
            task("<i>1</i>|x", prompt="Do 1.", tags=["<u>"]),
            task(f"2 {EVIL}"[:80], prompt=f"Do 2. {EVIL} ````"),
        ],
    )
    carried_out(tmp_path, what, plays(rates))
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


def test_html_is_text_loads_nothing_and_runs_nothing(hostile: Report) -> None:
    html = written(hostile, "html", Links("http://127.0.0.1:8000"))
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


def test_markdown_is_text(hostile: Report) -> None:
    text = written(hostile, "markdown", Links())
    outside = re.sub(r"(`{3,})toml.*?\n\1", "", text, flags=re.DOTALL)
    assert "````" in text, "a fence is longer than what is in it"
    assert not re.search(r"(?<!\\)<(?!/#/runs/run_)", outside)
    assert not re.search(r"(?<!\\)\]\((?!<)", outside)
    tables = [line for line in outside.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in tables} == {11, 5}


def test_csv_is_no_formula(hostile: Report) -> None:
    rows = list(csv.DictReader(io.StringIO(written(hostile, "csv", Links()))))
    assert len(rows) == 18
    assert {row["condition"] for row in rows} == {f"'{LABELS[0]}", *LABELS[1:]}


def test_a_table_fits_80_columns_and_commands_no_terminal(hostile: Report) -> None:
    shown = Console(file=io.StringIO(), width=80, highlight=False, markup=False)
    for part in report_parts(hostile):
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
