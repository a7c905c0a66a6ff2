"""How an experiment begins, and how it goes on with what it has."""

from collections.abc import Mapping
from dataclasses import dataclass

from aideator_gateway.experiments.definition import Experiment
from aideator_gateway.experiments.entries import Begun
from aideator_gateway.experiments.journal import Journal, JournalError
from aideator_gateway.experiments.plan import Plan, plan_of
from aideator_gateway.experiments.state import State


@dataclass
class Beginning:
    """An experiment that can be carried out.

    Attributes
    ----------
    model
        Of conditions that name none.
    unused
        Attempts that were made and are no part of the experiment any more, as its file is now.
    """

    plan: Plan
    state: State
    model: str
    unused: int = 0


def resumed(
    experiment: Experiment, state: State, *, model: str, scripted: bool, named: bool = False
) -> Beginning:
    """Return how an experiment goes on.

    Parameters
    ----------
    state
        What was done so far.
    model
        For conditions that name none; if it is not ``named``, an experiment that was begun
        stays with the one that it has.
    scripted
        The model is the scripted demo.

    Raises
    ------
    JournalError
        If that was another experiment: nothing that was done is part of this one.
    """
    made = set(state.tries) | {
        name.id for open_ in state.open.values() for name in open_.planned.attempts
    }
    before = state.begun[-1] if state.begun and made else None
    if before and before.scripted != scripted:
        raise JournalError(
            f"{experiment.name} was begun {'with' if before.scripted else 'without'} the scripted "
            "demo, and what that says is no result: give the same flags, or another --data-dir."
        )
    model = before.model if before and not named else model
    plan = plan_of(experiment, model, before.share_usd if before else None)
    ours = {attempt.id for attempt in plan.attempts}
    if made and not made & ours:
        raise JournalError(
            f"The data directory has another experiment that is called {experiment.name}, of "
            "which this file changes every attempt: give this one another name."
        )
    return Beginning(plan, state, model, len(set(state.tries) - ours))


def begin(
    journal: Journal,
    experiment: Experiment,
    versions: Mapping[str, str],
    *,
    model: str,
    scripted: bool,
    named: bool = False,
) -> Beginning:
    """Begin an experiment, or go on with it, and write that down.

    Parameters
    ----------
    model, scripted, named
        As for ``resumed``.
    versions
        Of the programs that take part, by name.

    Raises
    ------
    JournalError
        If the journal is another experiment's, or cannot be used.
    """
    state = State.of(journal.entries())
    beginning = resumed(experiment, state, model=model, scripted=scripted, named=named)
    entry = Begun(
        experiment=experiment,
        model=beginning.model,
        scripted=scripted,
        share_usd=beginning.plan.share_usd,
        versions=dict(versions),
    )
    before = beginning.state.begun[-1:]
    if [one.model_copy(update={"time": entry.time}) for one in before] != [entry]:
        journal.append(entry)
        beginning.state.take(entry)
    return beginning
