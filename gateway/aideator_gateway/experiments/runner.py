"""Carries an experiment out: every attempt until it has a result, none twice."""

import secrets
import time
from collections.abc import Callable, Iterator, Sequence

from aideator_gateway.experiments.beginning import Beginning
from aideator_gateway.experiments.ending import Ending
from aideator_gateway.experiments.entries import AttemptName, Dropped, Ended, Planned, Started
from aideator_gateway.experiments.gateway import AwayError, Gateway, RefusedError
from aideator_gateway.experiments.journal import Journal
from aideator_gateway.experiments.plan import Block, PlannedAttempt
from aideator_gateway.experiments.progress import Progress, expected_usd
from aideator_gateway.experiments.state import OpenRun, Spent
from aideator_gateway.experiments.stop import Stop
from aideator_gateway.runs.model import NewRun, Run

POLL_SECONDS = 0.5
"""How often runs are looked at."""

MAX_TRIES = 3
"""How often an attempt is made that the harness fails, before it is given up."""

PAUSES = (2.0, 15.0)
"""Seconds before an attempt is made again, growing."""

IN_A_ROW = 4
"""After so many runs without a single result something is wrong with all of them; more where more
than two work at once."""

AWAY_SECONDS = 60.0
"""How long a gateway may not answer."""


class Runner:
    """Carries out one experiment.

    Parameters
    ----------
    beginning
        The plan, and what was done of it.
    journal
        Where each step is written.
    gateway
        Carries out runs.
    stop
        Asked before every step.
    tell
        Called with how it goes after each look at the runs.
    pauses
        Seconds before an attempt that the harness failed is made again.
    poll_seconds
        How often runs are looked at.
    """

    def __init__(
        self,
        beginning: Beginning,
        journal: Journal,
        gateway: Gateway,
        *,
        stop: Stop,
        tell: Callable[[Progress], None] = lambda _: None,
        pauses: Sequence[float] = PAUSES,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._plan = beginning.plan
        self._state = beginning.state
        self._journal = journal
        self._gateway = gateway
        self._stop = stop
        self._tell = tell
        self._pauses = pauses
        self._poll_seconds = poll_seconds
        self._began = time.monotonic()
        self._done_before = self._done()
        self._failures: dict[str, int] = {}
        self._due: dict[str, float] = {}
        self._going: dict[str, Run] = {}
        self._in_a_row = 0
        self._away_since: float | None = None
        self._left = list(self._plan.blocks)
        self._given_up: dict[str, str] = {}
        self._why: list[str] = []

    def carry_out(self) -> Ending:
        """Go on until every attempt has a result, or it cannot or is not to go on.

        Raises
        ------
        JournalError
            If what is done cannot be written any more.
        """
        while True:
            try:
                self._look()
                if self._stop.level > 1:
                    self._cancel()
                else:
                    self._begin()
                self._away_since = None
            except AwayError as error:
                if self._is_away_for_good():
                    self._why.append(str(error))
                    break
            self._say()
            if not self._state.open and not self._may_begin():
                break
            self._stop.wait(self._poll_seconds)
        return Ending(
            attempts=len(self._plan.attempts),
            done=self._done(),
            stopped=self._stop.level > 0,
            # Several attempts of a run may say the same.
            why=list(dict.fromkeys(self._why))
            + [f"{name}: {why}" for name, why in self._given_up.items()],
        )

    def _is_away_for_good(self) -> bool:
        now = time.monotonic()
        self._away_since = self._away_since or now
        return self._stop.level > 0 or now - self._away_since > AWAY_SECONDS

    def _may_begin(self) -> bool:
        """Whether there is something to begin, now or after a pause."""
        return not self._why and not self._stop.level and any(self._missing())

    def _missing(self) -> Iterator[Block]:
        """Give what is to be made yet of each block, and is not being made."""
        open_ = {name.id for one in self._state.open.values() for name in one.planned.attempts}
        self._left = [
            block for block in self._left if any(not self._has_result(one) for one in block)
        ]
        for block in self._left:
            if missing := tuple(
                attempt
                for attempt in block
                if attempt.id not in open_
                and not self._has_result(attempt)
                and self._failures.get(attempt.id, 0) < MAX_TRIES
            ):
                yield missing

    def _has_result(self, attempt: PlannedAttempt) -> bool:
        return self._state.result(attempt.id) is not None

    def _begin(self) -> None:
        """Begin as many runs as may work at once."""
        for block in list(self._missing()):
            if self._why or self._stop.level:
                return
            if len(self._state.open) >= self._plan.experiment.at_once:
                return
            if not self._is_due(block):
                continue
            request = self._plan.request(block, self._state.commits.get(_source(block)))
            if not self._is_affordable(request):
                return
            self._plan_run(block, request)

    def _is_due(self, block: Block) -> bool:
        """Whether a block can begin: no pause is on, and it is known from which commit."""
        now = time.monotonic()
        if any(self._due.get(attempt.id, 0.0) > now for attempt in block):
            return False
        source = _source(block)
        if source in self._state.commits:
            return True
        # Somebody is about to find out: all attempts are to start from the same commit.
        asked = (
            (one.planned.request.github_url, one.planned.ref) for one in self._state.open.values()
        )
        return source not in asked

    def _is_affordable(self, request: NewRun) -> bool:
        """Whether the budget is kept, whatever the attempts at work and these cost."""
        promised = sum(_most(one.planned.request) for one in self._state.open.values())
        budget = self._plan.experiment.budget_usd
        if self._state.spent.usd + promised + _most(request) <= budget * (1 + 1e-9):
            return True
        if not self._state.open:
            self._why.append(
                f"The budget is used up: {self._state.spent.usd:.2f} of {budget:.2f} US dollars "
                "are spent, and what is left is less than the next attempts may cost. Raise "
                "budget_usd and run it again to go on."
            )
        return False

    def _plan_run(self, block: Block, request: NewRun) -> None:
        planned = Planned(
            key=f"experiment-{self._plan.experiment.name}-{secrets.token_hex(8)}",
            attempts=[
                AttemptName(id=one.id, task=one.task.name, condition=one.name, repeat=one.repeat)
                for one in block
            ],
            ref=block[0].task.ref,
            request=request,
        )
        # Before it is asked for: whoever goes on knows what may have been created.
        self._write(planned)
        self._create(self._state.open[planned.key])

    def _create(self, open_: OpenRun) -> None:
        planned = open_.planned
        try:
            run_id = self._gateway.create(planned.request, planned.key)
        except RefusedError as error:
            if error.passing:
                return  # it stays open, and is asked for again
            self._write(Dropped(key=planned.key, why=str(error)))
            if not error.gone:
                self._why.append(str(error))
            return
        self._write(Started(key=planned.key, run_id=run_id))

    def _look(self) -> None:
        """See how the runs at work stand."""
        for key, open_ in list(self._state.open.items()):
            if open_.run_id is None:
                self._create(open_)
                continue
            try:
                run = self._gateway.run(open_.run_id)
            except RefusedError as error:
                if not error.gone:
                    continue
                self._going.pop(key, None)
                self._write(Dropped(key=key, why=str(error)))
                continue
            self._state.pin(open_.planned, run)
            if run.status.ended:
                self._going.pop(key, None)
                self._write(Ended(key=key, run=run))
                self._judge(open_.planned)
            else:
                self._going[key] = run

    def _judge(self, planned: Planned) -> None:
        """See what an ended run brought, and what has to be made again."""
        failed = []
        for name in planned.attempts:
            last = self._state.tries[name.id][-1]
            if self._state.counts(last):
                continue
            why = last.outcome.why or "It has no result."
            failed.append(why)
            if last.outcome.hopeless:
                self._why.append(why)
            failures = self._failures[name.id] = self._failures.get(name.id, 0) + 1
            pause = self._pauses[min(failures, len(self._pauses)) - 1] if self._pauses else 0.0
            self._due[name.id] = time.monotonic() + pause
            if failures >= MAX_TRIES:
                called = f"{name.task}, {name.condition}, repeat {name.repeat}"
                self._given_up[called] = f"given up after {failures} tries. {why}"
        if self._stop.level > 1:
            return
        self._in_a_row = self._in_a_row + 1 if len(failed) == len(planned.attempts) else 0
        set_up = [self._state.tries[name.id][-1].outcome.setup_failed for name in planned.attempts]
        if failed and all(set_up):
            self._why.append(f"{planned.attempts[0].task}: {failed[0]}")
        # Those that work at the same time fall over together, which is once.
        elif self._in_a_row >= max(IN_A_ROW, 2 * self._plan.experiment.at_once):
            self._why.append(
                f"{self._in_a_row} runs in a row had no result. The last one: {failed[0]}"
            )

    def _cancel(self) -> None:
        for open_ in list(self._state.open.values()):
            if open_.run_id is not None:
                try:
                    self._gateway.cancel(open_.run_id)
                except RefusedError:
                    continue  # it is looked at again
            else:
                # It may exist all the same: the next time tells.
                self._state.open.pop(open_.planned.key)

    def _write(self, entry: Planned | Started | Ended | Dropped) -> None:
        self._journal.append(entry)
        self._state.take(entry)

    def _done(self) -> int:
        return sum(self._has_result(attempt) for attempt in self._plan.attempts)

    def _say(self) -> None:
        """Tell how it goes."""
        spent = Spent(self._state.spent.usd, self._state.spent.unknown)
        for run in self._going.values():
            spent.add(run)
        done = self._done()
        brought = done - self._done_before
        running = sum(len(one.planned.attempts) for one in self._state.open.values())
        left = len(self._plan.attempts) - done
        pace = (time.monotonic() - self._began) / brought if brought else None
        self._tell(
            Progress(
                attempts=len(self._plan.attempts),
                done=done,
                running=running,
                spent=spent,
                budget_usd=self._plan.experiment.budget_usd,
                expected_usd=expected_usd(self._plan, self._state),
                seconds_left=None if pace is None else pace * left,
            )
        )


def _source(block: Block) -> tuple[str, str | None]:
    return block[0].task.repository, block[0].task.ref


def _most(request: NewRun) -> float:
    """Return what a run may cost at most, but for each attempt's last answer."""
    limits = request.limits
    assert limits is not None  # noqa: S101 - a plan says them all
    own = [condition.limits for condition in request.conditions or ()]
    return sum(limits.for_one_of(len(own), one).max_cost_usd or 0.0 for one in own)
