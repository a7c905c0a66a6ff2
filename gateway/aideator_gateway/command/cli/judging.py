"""Judging at a terminal: two patches, one key."""

import secrets
import time
from collections import Counter
from pathlib import Path

import click
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.text import Text

from aideator_gateway.command.cli.connect import for_reading
from aideator_gateway.command.cli.experiment_files import explained
from aideator_gateway.command.cli.experiment_name import name_of
from aideator_gateway.command.cli.one_key import one_key
from aideator_gateway.command.cli.output import console, is_conversation, say
from aideator_gateway.command.datadir import EXPERIMENTS
from aideator_gateway.command.judging_client import JudgingClient
from aideator_gateway.command.terminal import patches
from aideator_gateway.command.terminal.judgments import summary_lines
from aideator_gateway.command.terminal.pager import page
from aideator_gateway.command.terminal.side_by_side import WIDE, show_side_by_side
from aideator_gateway.command.terminal.text import counted
from aideator_gateway.experiments.journal import read_journal
from aideator_gateway.experiments.judging import Judging, JudgingPair, NewJudgment
from aideator_gateway.experiments.judgments import (
    JUDGE_RULE,
    AttemptRef,
    Judge,
    Verdict,
    judgments_file,
    read_judgments,
)
from aideator_gateway.experiments.state import State
from aideator_gateway.printable import one_line, printable
from aideator_gateway.settings import Settings

VERDICTS: dict[str, Verdict] = {
    "1": "left", "left": "left", "2": "right", "right": "right", "t": "tie", "s": "skip",
}  # fmt: skip

QUESTION = "Better? 1 left, 2 right, t tie, s skip, u undo, v view again, q quit: "

_JUDGE: TypeAdapter[str] = TypeAdapter(Judge)


def judge(
    experiment: str,
    *,
    judge: str | None,
    show_checks: bool,
    again: bool,
    overlap: bool,
    data_dir: Path | None,
) -> None:
    """Let somebody judge until they stop, or nothing is left."""
    if not is_conversation():
        raise click.ClickException(
            "Judging takes a terminal with somebody at it; the page of aideator serve is another "
            "place to do it."
        )
    if judge is not None:
        try:
            _JUDGE.validate_python(judge)
        except ValidationError:
            raise click.BadParameter(JUDGE_RULE, param_hint="--as") from None
    name = name_of(experiment)
    settings = Settings.load({"data_dir": data_dir})
    with for_reading(settings) as client:
        judges = _Judging(
            JudgingClient(client, name), judge, checks=show_checks, again=again, overlap=overlap
        )
        try:
            judges.go_on()
        except KeyboardInterrupt:
            say(f"\n{judges.kept()}", err=True)
            raise click.Abort from None
    say(judges.kept())
    _say_summary(settings.data_dir / EXPERIMENTS / f"{name}.jsonl")


def _say_summary(journal: Path) -> None:
    with explained():
        judgments = read_judgments(judgments_file(journal))
        state = State.of(read_journal(journal))
    for line in summary_lines(state.begun[-1].experiment, judgments):
        say(line)


class _Judging:
    """One sitting of a judge."""

    def __init__(
        self, client: JudgingClient, judge: str | None, *,
        checks: bool, again: bool, overlap: bool,
    ) -> None:  # fmt: skip
        self._client = client
        self._judge = judge
        self._checks = checks
        self._again = again
        self._overlap = overlap
        self._console = console()
        self._said: list[tuple[str, Verdict]] = []

    def kept(self) -> str:
        """Return what was said in this sitting, in words."""
        if not self._said:
            return "Nothing was judged."
        verdicts = Counter(verdict for _, verdict in self._said)
        skipped = verdicts.pop("skip", 0)
        text = f"{counted(verdicts.total(), 'judgment')} kept"
        return f"{text}, {skipped} skipped." if skipped else f"{text}."

    def go_on(self) -> None:
        """Show pairs and take answers, until ``q`` or nothing is left."""
        first = True
        while True:
            now = self._client.next(self._judge, again=self._again, overlap=self._overlap)
            if first and now.identical:
                say(
                    f"Left out: {counted(now.identical, 'pair')} with the same patch on both sides."
                )
            if now.pair is None:
                say(_nothing(now))
                return
            first = False
            if not self._one(now, now.pair):
                return

    def _one(self, now: Judging, pair: JudgingPair) -> bool:
        """Let one pair be judged; whether to go on."""
        left, right = (
            self._client.patch(side.run_id, side.variation_id) for side in (pair.left, pair.right)
        )
        began = time.monotonic()
        self._show(now, pair, left, right)
        while True:
            key = one_key(QUESTION)
            if key is None or key in ("q", "Q"):
                return False
            if key == "v":
                self._show(now, pair, left, right)
            elif key == "u":
                if self._undo(now.last):
                    return True
            elif verdict := VERDICTS.get(key):
                self._record(pair, verdict, time.monotonic() - began)
                return True

    def _record(self, pair: JudgingPair, verdict: Verdict, seconds: float) -> None:
        judgment = NewJudgment(
            id=secrets.token_hex(8),
            left=AttemptRef(run_id=pair.left.run_id, variation_id=pair.left.variation_id),
            right=AttemptRef(run_id=pair.right.run_id, variation_id=pair.right.variation_id),
            verdict=verdict,
            judge=self._judge,
            seconds=round(seconds, 1),
        )
        self._client.record(judgment)
        self._said.append((judgment.id, verdict))
        say(f"Kept: {verdict}.")

    def _undo(self, before: str | None) -> bool:
        """Take the last judgment back, also one of an earlier sitting; whether there was one."""
        last = self._said.pop()[0] if self._said else before
        if last is None:
            say("There is nothing to take back.")
            return False
        self._client.take_back(last)
        say("Taken back.")
        return True

    def _show(self, now: Judging, pair: JudgingPair, left: bytes, right: bytes) -> None:
        page(self._console, lambda out: self._draw(out, now, pair, left, right))

    def _draw(
        self, out: Console, now: Judging, pair: JudgingPair, left: bytes, right: bytes
    ) -> None:
        place = f"{min(now.judged + 1, now.pairs)} of {now.pairs}"
        out.print(Text(f"── {place} · {one_line(pair.task)} ", style="bold"))
        out.print(Text(printable(pair.prompt)))
        if self._checks:
            said = [side.check or "none" for side in (pair.left, pair.right)]
            out.print(Text(f"Checks: left {said[0]}, right {said[1]}", style="bold"))
        out.print()
        if out.width >= WIDE and left and right:
            half = (out.width - 3) // 2
            out.print(Text(f"{'── left ':─<{half}}─┬─{'─ right ':─<{half}}", style="bold"))
            show_side_by_side(out, left, right)
            return
        for side, patch in (("left", left), ("right", right)):
            out.print(Text(f"── {side} ", style="bold"))
            if patch:
                patches.show(out, patch)
            else:
                out.print(Text("It changed nothing."))


def _nothing(now: Judging) -> str:
    if not now.pairs:
        return (
            "There is nothing to judge: that takes two completed attempts at one task, under "
            "different conditions, whose patches differ."
        )
    return f"You have judged all {counted(now.pairs, 'pair')}. With --again they come once more."
