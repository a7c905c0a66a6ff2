"""``make eval``: with no key a line, with one a table whose figures are right."""

import subprocess
import sys
from pathlib import Path

from aideator.protocol import Styles
from aideator_gateway.scripted_model.conversation import Conversation
from aideator_gateway.scripted_model.player import Request
from aideator_gateway.scripted_model.script import HttpError, Reply, Text, TokenCounts
from aideator_gateway.scripted_model.server import ScriptedModel
from tests.support.gateways import environment
from tests.tasks.player import TaskPlayer
from tests.tasks.small_task import small_tasks

ROOT = Path(__file__).parents[2]

USED = TokenCounts(1000, 100)
"""$0.0030 a turn, by the default model's price: $2 and $10 for a million tokens."""


class MixedPlayer:
    """Solves tasks, but for one style that does nothing and one that is refused on one task."""

    def __init__(self) -> None:
        self._solves = TaskPlayer(small_tasks(), USED)
        self._texts = {name: Styles().text(name) or "" for name in Styles().names()}

    def reply(self, request: Request) -> Reply:
        system = request.body["system"][0]["text"]
        if self._texts["thorough"] in system:
            return [Text("All is well as it is."), USED]
        if self._texts["smallest"] in system and "balance.sql" in Conversation(request).prompt:
            return [HttpError(401, "authentication_error", "invalid x-api-key")]
        return self._solves.reply(request)


def evaluate(*words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "eval.py"), *words],
        env=environment(**settings), capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip


def test_without_a_key_it_says_so_in_one_line() -> None:
    done = evaluate()
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "There is no key: set ANTHROPIC_API_KEY to a real one.\n"


def test_the_table_has_what_happened() -> None:
    styles = ("none", "smallest", "thorough")
    words = [word for style in styles for word in ("--style", style)]
    with ScriptedModel(MixedPlayer(), record=False) as model:
        done = evaluate(
            "--task", "last_page", "--task", "double_count", *words,
            ANTHROPIC_API_KEY="sk-eval-0123", ANTHROPIC_BASE_URL=model.base_url,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    head, *rows = [line.split() for line in done.stdout.splitlines()]
    assert head == ["task", "style", "solved", "failed", "cost", "seconds", "turns"]
    seconds = [float(row.pop(5)) for row in rows]
    assert all(0 < taken < 100 for taken in seconds)
    assert rows == [
        ["double_count", "none", "1/1", "0", "$0.0150", "5.0"],
        ["double_count", "smallest", "0/1", "1", "$0.0000", "0.0"],
        ["double_count", "thorough", "0/1", "0", "$0.0030", "1.0"],
        ["last_page", "none", "1/1", "0", "$0.0150", "5.0"],
        ["last_page", "smallest", "1/1", "0", "$0.0150", "5.0"],
        ["last_page", "thorough", "0/1", "0", "$0.0030", "1.0"],
        ["all", "none", "2/2", "0", "$0.0300", "5.0"],
        ["all", "smallest", "1/2", "1", "$0.0150", "2.5"],
        ["all", "thorough", "0/2", "0", "$0.0060", "1.0"],
    ]
    assert "6 attempts, at most $10.00" in done.stderr
    assert "double_count, smallest: authentication_failed: " in done.stderr
    assert "invalid x-api-key" in done.stderr
