"""Every attempt is made until it has a result, none twice, and the budget is kept."""

import itertools
import random
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from aideator.protocol import Condition, ErrorCode, Usage
from aideator_gateway.experiments.beginning import Beginning, begin, resumed
from aideator_gateway.experiments.definition import Experiment
from aideator_gateway.experiments.ending import Ending
from aideator_gateway.experiments.entries import Begun, Planned
from aideator_gateway.experiments.gateway import RefusedError
from aideator_gateway.experiments.journal import Journal, JournalError, read_journal
from aideator_gateway.experiments.progress import Progress
from aideator_gateway.experiments.runner import IN_A_ROW, MAX_TRIES, Runner
from aideator_gateway.experiments.state import State
from aideator_gateway.experiments.stop import Stop
from aideator_gateway.runs.model import NewRun, Run
from tests.experiments.scripted_gateway import (
    COMMIT,
    COST,
    ScriptedGateway,
    experiment,
    failed,
    journal_of,
    passes,
    task,
)
from tests.experiments.test_outcome import SET_UP_FAILED


def carried_out(
    directory: Path,
    gateway: ScriptedGateway,
    what: Experiment,
    *,
    stop: Stop | None = None,
    tell: Callable[[Progress], None] = lambda _: None,
) -> Ending:
    with Journal.opened(journal_of(directory)) as journal:
        return Runner(
            begun(journal, what), journal, gateway,
            stop=stop or Stop(), tell=tell, pauses=(0.0,), poll_seconds=0.0,
        ).carry_out()  # fmt: skip


def begun(journal: Journal, what: Experiment) -> Beginning:
    return begin(journal, what, {"aideator": "0"}, model="m", scripted=False)


def state_of(directory: Path) -> State:
    return State.of(read_journal(journal_of(directory)))


def check_results(directory: Path, what: Experiment) -> State:
    """Check that each attempt has a result, and none has two."""
    state = state_of(directory)
    plan = resumed(what, state, model="m", scripted=False).plan
    for attempt in plan.attempts:
        counted = [one for one in state.tries[attempt.id] if state.counts(one)]
        assert len(counted) == 1, attempt
        assert counted[0].variation.condition.label == attempt.condition.label
        assert counted[0].run.prompt == attempt.task.prompt
    return state


def test_an_experiment_is_carried_out_once(tmp_path: Path) -> None:
    gateway, what = ScriptedGateway(), experiment()
    ending = carried_out(tmp_path, gateway, what)
    assert ending == Ending(attempts=8, done=8)
    check_results(tmp_path, what)
    made = Counter((r.prompt, c.label) for r in gateway.created for c in r.conditions or ())
    assert set(made.values()) == {2} and len(made) == 4
    # Again there is nothing to do.
    assert carried_out(tmp_path, gateway, what).complete
    assert len(gateway.created) == 4


def test_no_more_runs_work_at_once_than_may(tmp_path: Path) -> None:
    gateway = ScriptedGateway(looks=3)
    many = experiment(at_once=3, tasks=[task(str(n), ref=COMMIT) for n in range(8)])
    assert carried_out(tmp_path, gateway, many).complete
    assert gateway.most_at_once == 3


def test_all_attempts_start_from_the_commit_of_the_first(tmp_path: Path) -> None:
    gateway = ScriptedGateway()
    what = experiment(at_once=8, tasks=[task("one", ref="main"), task("two", ref="main")])
    assert carried_out(tmp_path, gateway, what).complete
    # Until it is known which commit that is, nothing else is begun.
    assert [request.ref for request in gateway.created] == ["main", COMMIT, COMMIT, COMMIT]


def test_what_the_harness_failed_is_made_again_and_nothing_else(tmp_path: Path) -> None:
    def play(request: NewRun, condition: Condition, before: int) -> dict[str, Any]:
        first = before == 0 and request.prompt == "Do one." and condition.label == "careful"
        return failed() if first else {}

    gateway, what = ScriptedGateway(play), experiment()
    assert carried_out(tmp_path, gateway, what).complete
    state = check_results(tmp_path, what)
    assert sorted(map(len, state.tries.values())) == [1] * 7 + [2]
    again = [r for r in gateway.created if len(r.conditions or ()) == 1]
    assert [(r.prompt, (r.conditions or [])[0].label) for r in again] == [("Do one.", "careful")]


def test_what_always_fails_is_given_up_and_the_rest_is_done(tmp_path: Path) -> None:
    def play(request: NewRun, condition: Condition, before: int) -> dict[str, Any]:
        del before
        bad = request.prompt == "Do one." and condition.label == "careful"
        return failed() if bad else {}

    gateway = ScriptedGateway(play)
    ending = carried_out(tmp_path, gateway, experiment())
    assert (ending.done, ending.complete, len(ending.why)) == (6, False, 2)
    assert ending.why[0].startswith("one, careful, repeat ")
    assert "It fell over." in ending.why[0]
    assert max(map(len, state_of(tmp_path).tries.values())) == MAX_TRIES


def test_where_every_run_fails_it_stops(tmp_path: Path) -> None:
    gateway = ScriptedGateway(lambda *_: failed(ErrorCode.ENGINE_LOST, "The engine is gone."))
    many = experiment(at_once=1, repeats=20)
    ending = carried_out(tmp_path, gateway, many)
    assert (ending.done, len(gateway.created)) == (0, IN_A_ROW)
    assert "runs in a row" in ending.why[0] and "The engine is gone." in ending.why[0]


def test_what_would_fail_again_is_not_tried_again(tmp_path: Path) -> None:
    gateway = ScriptedGateway(lambda *_: failed(ErrorCode.MISSING_API_KEY, "There is no key."))
    ending = carried_out(tmp_path, gateway, experiment(at_once=1))
    assert len(gateway.created) == 1
    assert ending.why[0] == "missing_api_key: There is no key."
    # With the key there, it goes on where it was.
    well = ScriptedGateway()
    assert carried_out(tmp_path, well, experiment(at_once=1)).complete
    check_results(tmp_path, experiment())


def test_a_set_up_that_never_works_stops_it_and_counts_for_nobody(tmp_path: Path) -> None:
    gateway = ScriptedGateway(lambda *_: {"check": SET_UP_FAILED})
    what = experiment(at_once=1, tasks=[task("one", setup="make x")])
    ending = carried_out(tmp_path, gateway, what)
    assert (ending.done, len(gateway.created)) == (0, 1)
    assert "one: The set-up failed: no such package" in ending.why[0]


def test_a_set_up_that_an_attempt_broke_is_its_failure(tmp_path: Path) -> None:
    def play(request: NewRun, condition: Condition, before: int) -> dict[str, Any]:
        del request, before
        return {"check": SET_UP_FAILED} if condition.label == "careful" else {}

    what = experiment(tasks=[task("one", setup="make x")])
    assert carried_out(tmp_path, ScriptedGateway(play), what).complete
    state = check_results(tmp_path, what)
    plan = resumed(what, state, model="m", scripted=False).plan
    assert state.passed(plan, "careful") == [[0.0, 0.0]]
    assert state.passed(plan, "plain") == [[1.0, 1.0]]


def test_a_refused_request_stops_it_with_the_reason(tmp_path: Path) -> None:
    gateway = ScriptedGateway()
    gateway.refusals = [RefusedError("check: There is no sandbox.")]
    ending = carried_out(tmp_path, gateway, experiment())
    assert (ending.done, ending.why) == (0, ["check: There is no sandbox."])
    assert carried_out(tmp_path, gateway, experiment()).complete
    check_results(tmp_path, experiment())


def test_a_refusal_in_passing_is_waited_for(tmp_path: Path) -> None:
    gateway = ScriptedGateway()
    gateway.refusals = [RefusedError("The disk is full.", passing=True)] * 3
    assert carried_out(tmp_path, gateway, experiment()).complete


def test_a_gateway_that_is_away_for_a_moment_is_waited_for(tmp_path: Path) -> None:
    gateway = ScriptedGateway()
    gateway.away = 5
    assert carried_out(tmp_path, gateway, experiment()).complete


def test_a_run_that_was_deleted_is_made_again(tmp_path: Path) -> None:
    gateway = ScriptedGateway(looks=2)
    deleted: list[str] = []

    def tell(_: Progress) -> None:
        if not deleted:
            deleted.append("run_0000000000000001")
            gateway.delete(deleted[0])

    assert carried_out(tmp_path, gateway, experiment(), tell=tell).complete
    assert len(gateway.created) == 5
    check_results(tmp_path, experiment())


def test_no_run_is_begun_that_the_budget_has_no_room_for(tmp_path: Path) -> None:
    gateway = ScriptedGateway(lambda *_: {"usage": Usage(output_tokens=1, cost_usd=1.0)})
    what = experiment(budget_usd=5.0, limits={"max_cost_usd": 1.0}, at_once=4)
    ending = carried_out(tmp_path, gateway, what)
    # Two a run: after two runs one dollar is left, and the next might cost two.
    assert (ending.done, gateway.spent) == (4, 4.0)
    assert "The budget is used up: 4.00 of 5.00" in ending.why[0]
    more = what.model_copy(update={"budget_usd": 8.0})
    assert carried_out(tmp_path, gateway, more).complete
    check_results(tmp_path, more)


def test_an_attempt_keeps_its_share_when_the_experiment_grows(tmp_path: Path) -> None:
    gateway = ScriptedGateway()
    assert carried_out(tmp_path, gateway, experiment()).complete
    grown = experiment(repeats=4)
    ending = carried_out(tmp_path, gateway, grown)
    assert (ending.done, ending.attempts) == (16, 16)
    assert len(gateway.created) == 8
    shares = {r.limits.max_cost_usd for r in gateway.created if r.limits}
    assert len(shares) == 1
    versions = [e for e in read_journal(journal_of(tmp_path)) if isinstance(e, Begun)]
    assert [version.experiment.repeats for version in versions] == [2, 4]


def test_another_experiment_of_the_same_name_is_refused(tmp_path: Path) -> None:
    carried_out(tmp_path, ScriptedGateway(), experiment())
    other = experiment(tasks=[task("three")])
    with pytest.raises(JournalError, match="another experiment that is called exp"):
        carried_out(tmp_path, ScriptedGateway(), other)


def test_the_scripted_demo_and_a_model_are_not_mixed(tmp_path: Path) -> None:
    carried_out(tmp_path, ScriptedGateway(), experiment())
    with (
        Journal.opened(journal_of(tmp_path)) as journal,
        pytest.raises(JournalError, match="was begun without the scripted demo"),
    ):
        begin(journal, experiment(), {}, model="m", scripted=True)


def test_it_stays_with_its_model_unless_another_is_named(tmp_path: Path) -> None:
    carried_out(tmp_path, ScriptedGateway(), experiment())
    state = state_of(tmp_path)
    stays = resumed(experiment(), state, model="newer", scripted=False)
    assert (stays.model, stays.unused) == ("m", 0)
    with pytest.raises(JournalError):
        resumed(experiment(), state, model="newer", scripted=False, named=True)


def test_progress_says_what_is_done_left_spent_and_expected(tmp_path: Path) -> None:
    told: list[Progress] = []
    assert carried_out(tmp_path, ScriptedGateway(), experiment(), tell=told.append).complete
    first, last = told[0], told[-1]
    assert (first.done, first.running, first.left, first.expected_usd) == (0, 2, 6, None)
    assert all(one.done + one.running + one.left == 8 for one in told)
    assert [one.done for one in told] == sorted(one.done for one in told)
    assert (last.done, last.running, last.left) == (8, 0, 0)
    assert last.spent.usd == pytest.approx(8 * COST) == pytest.approx(last.expected_usd)
    middle = next(one for one in told if one.done == 4)
    assert middle.expected_usd == pytest.approx(8 * COST)
    assert middle.seconds_left is not None


def test_the_first_wish_to_stop_lets_runs_end_the_second_cancels_them(tmp_path: Path) -> None:
    gateway, stop = ScriptedGateway(), Stop()
    ending = carried_out(tmp_path, gateway, experiment(), stop=stop, tell=lambda _: stop.press(1))
    assert (ending.done, ending.stopped, ending.why) == (2, True, [])
    assert len(gateway.created) == 1

    slow, stop = ScriptedGateway(looks=10**6), Stop()
    ending = carried_out(tmp_path, slow, experiment(), stop=stop, tell=lambda _: stop.press(2))
    assert (ending.done, ending.stopped, ending.why) == (2, True, [])
    assert {v.status for run in slow._runs.values() for v in run.variations} == {"cancelled"}
    assert not state_of(tmp_path).open
    assert carried_out(tmp_path, ScriptedGateway(), experiment()).complete
    check_results(tmp_path, experiment())


def test_a_wish_is_heard_while_it_waits() -> None:
    stop = Stop()
    threading.Timer(0.05, stop.press).start()
    stop.wait(30)
    assert stop.level == 1


class Killed(BaseException):
    """The process is gone."""


class Life:
    """Steps until a process is killed.

    Parameters
    ----------
    last
        The step at which it is; numbers from 1.
    """

    def __init__(self, last: int) -> None:
        self._steps = itertools.count(1)
        self._last = last

    def is_over(self) -> bool:
        """Take a step, and say whether it was the last one."""
        return next(self._steps) == self._last

    def step(self) -> None:
        """Take a step."""
        if self.is_over():
            raise Killed


class MortalJournal(Journal):
    """A journal whose writer may be killed before a line, in the middle of one, or after it."""

    def __init__(self, journal: Journal, life: Life, dice: random.Random) -> None:
        super().__init__(journal.path, journal._descriptor)
        self._life = life
        self._dice = dice

    def append(self, entry: BaseModel) -> None:
        if self._life.is_over():
            line = entry.model_dump_json().encode() + b"\n"
            with self.path.open("ab") as file:
                file.write(line[: self._dice.randint(0, len(line))])
            raise Killed
        super().append(entry)
        self._life.step()


class MortalGateway:
    """A gateway whose caller may be killed before an answer reaches it."""

    def __init__(self, gateway: ScriptedGateway, life: Life) -> None:
        self._gateway = gateway
        self._life = life

    def create(self, request: NewRun, key: str) -> str:
        run_id = self._gateway.create(request, key)
        self._life.step()
        return run_id

    def run(self, run_id: str) -> Run:
        run = self._gateway.run(run_id)
        self._life.step()
        return run

    def cancel(self, run_id: str) -> None:
        self._gateway.cancel(run_id)


def is_killed(directory: Path, gateway: ScriptedGateway, what: Experiment, last: int) -> bool:
    """Carry an experiment out until a step; whether it is not over before that."""
    life, dice = Life(last), random.Random(last)  # noqa: S311 - no secret
    with Journal.opened(journal_of(directory)) as opened:
        journal = MortalJournal(opened, life, dice)
        try:
            Runner(
                begun(journal, what), journal, MortalGateway(gateway, life),
                stop=Stop(), pauses=(0.0,), poll_seconds=0.0,
            ).carry_out()  # fmt: skip
        except Killed:
            return True
    return False


@pytest.mark.parametrize("dies", [False, True], ids=["gateway lives", "gateway dies too"])
def test_killed_at_any_step_it_goes_on_where_it_was(tmp_path: Path, dies: bool) -> None:
    what = experiment()
    killed = 0
    for last in itertools.count(1):
        directory = tmp_path / f"{last}"
        directory.mkdir()
        gateway = ScriptedGateway(looks=2)
        if not is_killed(directory, gateway, what, last):
            break
        killed += 1
        if dies:
            gateway.die()
        assert carried_out(directory, gateway, what).complete
        state = check_results(directory, what)
        made = sum(len(request.conditions or ()) for request in gateway.created)
        lost = [one for tries in state.tries.values() for one in tries if not state.counts(one)]
        # Only what died with the gateway is made again, and all that was paid for is known.
        assert made == 8 + len(lost)
        assert dies or not lost
        assert state.spent.usd == pytest.approx(gateway.spent)
    # Four runs: planned, created, started, looked at twice, ended.
    assert killed > 30


def test_killed_over_and_over_it_still_ends(tmp_path: Path) -> None:
    what = experiment(repeats=5, tasks=[task(str(n)) for n in range(6)], budget_usd=1.2)
    gateway = ScriptedGateway(passes, looks=2)
    dice = random.Random(14)  # noqa: S311 - no secret
    for _ in range(50):
        if is_killed(tmp_path, gateway, what, dice.randint(1, 40)) and dice.random() < 0.3:
            gateway.die()
    assert carried_out(tmp_path, gateway, what).complete
    state = check_results(tmp_path, what)
    assert state.spent.usd == pytest.approx(gateway.spent)
    assert gateway.spent <= 1.2
    keys = [e.key for e in read_journal(journal_of(tmp_path)) if isinstance(e, Planned)]
    assert len(keys) == len(set(keys))
