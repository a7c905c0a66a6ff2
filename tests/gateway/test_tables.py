"""Tables of runs and variations, as a terminal shows them."""

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console
from rich.table import Table

from aideator.protocol import Condition, Limits, Status
from aideator_gateway.command.terminal.tables import PROMPT, runs_table, variations_table
from aideator_gateway.runs.model import Run, Variation


def shown(table: Table) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=240).print(table)
    return out.getvalue().splitlines()


def run(prompt: str = "Do it.", *conditions: Condition) -> Run:
    return Run(
        run_id="run_0123456789abcdef", status=Status.COMPLETED, github_url="https://github.com/o/n",
        ref=None, prompt=prompt, model="one", scripted=False, limits=Limits(),
        created_at=datetime.now(UTC),
        variations=[
            Variation(variation_id=number, status=Status.COMPLETED, condition=condition)
            for number, condition in enumerate(conditions or (Condition(),), 1)
        ],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("prompt", "line"),
    [
        ("Short.", "Short."),
        ("Two\nlines.", "Two lines."),
        ("x" * 200, f"{'x' * PROMPT} …"),
        ("word " * 50, f"{'word ' * (PROMPT // 5 - 1)}word …"),
    ],
)
def test_a_list_shows_the_beginning_of_each_prompt(prompt: str, line: str) -> None:
    assert shown(runs_table([run(prompt)]))[1].rstrip().rpartition("  ")[2] == line


def test_the_server_that_each_variation_asked_is_told_where_one_was_named() -> None:
    table = shown(variations_table(run("x", Condition(provider="house"), Condition())))
    assert "provider" in table[0]
    assert ["house" in table[1], "default" in table[2]] == [True, True]
    assert "provider" not in shown(variations_table(run()))[0]
