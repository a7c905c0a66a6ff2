"""A gateway that carries out runs in no time, as a test says; and experiments for it."""

import itertools
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aideator.protocol import Condition, ErrorCode, Limits, Status, StopReason, Usage
from aideator_gateway.experiments.definition import Experiment
from aideator_gateway.experiments.gateway import AwayError, RefusedError
from aideator_gateway.runs.model import CheckResult, NewRun, Run, Variation

COMMIT = "c0ffee" * 6 + "c0de"
COST = 0.01

Play = Callable[[NewRun, Condition, int], dict[str, Any]]
"""Returns what sets one attempt's end apart: fields of a ``Variation``. The number says how many
attempts of this condition at this prompt were made before."""


def experiment(**fields: Any) -> Experiment:
    """Return an experiment: two tasks, conditions and repeats, if not said otherwise."""
    given = {
        "name": "exp",
        "repeats": 2,
        "budget_usd": 10.0,
        "at_once": 2,
        "tasks": [task("one"), task("two")],
        "conditions": [{"label": "plain"}, {"label": "careful"}],
        **fields,
    }
    return Experiment.model_validate(given)


def task(name: str, **fields: Any) -> dict[str, Any]:
    """Return a task with a check, if not said otherwise."""
    return {
        "name": name, "repository": "https://github.com/user/repo", "prompt": f"Do {name}.",
        "check": "true", **fields,
    }  # fmt: skip


def passes(request: NewRun, condition: Condition, before: int) -> dict[str, Any]:
    """Let every attempt pass."""
    del request, condition, before
    return {}


def check(status: str = "passed", output: str = "", exit_code: int | None = 0) -> CheckResult:
    """Return what a check said."""
    return CheckResult.model_validate(
        {
            "status": status, "command": "true", "exit_code": exit_code, "seconds": 0.1,
            "output": output, "passed": status == "passed",
        }
    )  # fmt: skip


def failed(code: ErrorCode = ErrorCode.SANDBOX_FAILED, message: str = "It fell over.") -> Any:
    """Return how an attempt ends that failed."""
    return {"status": Status.FAILED, "stop_reason": None, "code": code, "message": message}


class ScriptedGateway:
    """Carries out runs as a function says; each has ended when it is looked at for the second time.

    Attributes
    ----------
    created
        Each run that was created, in order.
    most_at_once
        How many were at work at the same time.
    """

    def __init__(self, play: Play = passes, *, looks: int = 2) -> None:
        self._play = play
        self._looks = looks
        self._numbers = itertools.count(1)
        self._keys: dict[str, str] = {}
        self._runs: dict[str, Run] = {}
        self._looked: dict[str, int] = {}
        self._before: dict[tuple[str, str], int] = {}
        self._played: dict[str, list[Variation]] = {}
        self.created: list[NewRun] = []
        self.most_at_once = 0
        self.refusals: list[RefusedError] = []
        """What the next requests for a run are refused with."""
        self.away = 0
        """How many calls nobody answers."""

    def create(self, request: NewRun, key: str) -> str:
        """Start a run, once for each key."""
        self._answer()
        if key in self._keys:
            return self._keys[key]
        if self.refusals:
            raise self.refusals.pop(0)
        run_id = self._keys[key] = f"run_{next(self._numbers):016x}"
        conditions = request.conditions or []
        self.created.append(request)
        self._played[run_id] = [self._end(request, c, n) for n, c in enumerate(conditions, 1)]
        self._runs[run_id] = Run(
            run_id=run_id,
            status=Status.RUNNING,
            github_url=request.github_url,
            ref=request.ref,
            prompt=request.prompt,
            commit=COMMIT,
            model="m",
            scripted=False,
            limits=request.limits or Limits(),
            check=request.check,
            created_at=datetime.now(UTC),
            variations=[
                Variation(variation_id=n, status=Status.RUNNING, condition=c)
                for n, c in enumerate(conditions, 1)
            ],
        )
        at_work = sum(not run.status.ended for run in self._runs.values())
        self.most_at_once = max(self.most_at_once, at_work)
        return run_id

    def _end(self, request: NewRun, condition: Condition, number: int) -> Variation:
        which = (request.prompt, condition.name or "")
        before = self._before.get(which, 0)
        self._before[which] = before + 1
        ended = {
            "variation_id": number, "status": Status.COMPLETED, "condition": condition,
            "stop_reason": StopReason.END_TURN, "turns": 3, "seconds": 2.0,
            "usage": Usage(input_tokens=1000, output_tokens=10, cost_usd=COST),
            "check": check() if request.check else None,
        }  # fmt: skip
        return Variation(**{**ended, **self._play(request, condition, before)})

    def run(self, run_id: str) -> Run:
        """Return how a run stands."""
        self._answer()
        run = self._runs.get(run_id)
        if run is None:
            raise RefusedError(f"There is no run {run_id}.", gone=True)
        self._looked[run_id] = self._looked.get(run_id, 0) + 1
        if self._looked[run_id] >= self._looks and not run.status.ended:
            ended = self._played[run_id]
            some = any(v.status is Status.COMPLETED for v in ended)
            status = Status.COMPLETED if some else Status.FAILED
            run = run.model_copy(update={"status": status, "variations": ended})
            self._runs[run_id] = run
        return run

    def cancel(self, run_id: str) -> None:
        """Stop a run."""
        self._answer()
        self._stop(run_id, Status.CANCELLED)

    def die(self) -> None:
        """Interrupt what is at work, as a gateway does that ends."""
        for run_id in self._runs:
            self._stop(run_id, Status.INTERRUPTED)

    def delete(self, run_id: str) -> None:
        """Remove a run."""
        del self._runs[run_id]

    def _stop(self, run_id: str, status: Status) -> None:
        run = self._runs[run_id]
        if not run.status.ended:
            variations = [
                v.model_copy(
                    update={
                        "status": status,
                        "code": ErrorCode(status.value),
                        "usage": Usage(cost_usd=COST / 2),
                    }
                )
                for v in run.variations
            ]
            self._runs[run_id] = run.model_copy(update={"status": status, "variations": variations})

    def _answer(self) -> None:
        if self.away:
            self.away -= 1
            raise AwayError("Nobody answers.")

    @property
    def spent(self) -> float:
        """What all its attempts have cost."""
        return sum(
            v.usage.cost_usd or 0.0
            for run in self._runs.values()
            if run.status.ended
            for v in run.variations
        )


def run_with(variations: Sequence[dict[str, Any]], **fields: Any) -> Run:
    """Return a run that has ended, with a variation for each of the given fields."""
    gateway = ScriptedGateway(lambda _, __, before: variations[before], looks=1)
    request = NewRun(
        github_url="https://github.com/user/repo", prompt="x", variations=len(variations),
        conditions=[Condition(label="same")] * len(variations),
        limits=Limits(max_cost_usd=1.0), check=fields.pop("check", "true"),
    )  # fmt: skip
    return gateway.run(gateway.create(request, "key")).model_copy(update=fields)


def journal_of(directory: Path) -> Path:
    """Return where the journal is kept."""
    return directory / "experiments" / "exp.jsonl"
