"""What the ``experiment`` commands do. It is imported when one of them is given, and not before."""

import platform
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Any

from aideator_gateway.command.cli.connect import LeftAtOnce, for_reading, for_runs
from aideator_gateway.command.cli.exits import CANCELLED, COMPLETED, FAILED, NOT_REACHED
from aideator_gateway.command.cli.experiment_files import explained, journal_of, read_file
from aideator_gateway.command.cli.output import say, say_json
from aideator_gateway.command.cli.progress_line import ProgressLine
from aideator_gateway.command.cli.reporting import Wanted, missed, say_results
from aideator_gateway.command.experiment_gateway import ExperimentGateway
from aideator_gateway.command.terminal.experiments import ending_text
from aideator_gateway.experiments.beginning import Beginning, begin, resumed
from aideator_gateway.experiments.ending import Ending
from aideator_gateway.experiments.journal import Journal, read_journal
from aideator_gateway.experiments.progress import Progress
from aideator_gateway.experiments.runner import Runner
from aideator_gateway.experiments.state import State
from aideator_gateway.experiments.stop import Stop
from aideator_gateway.experiments.thresholds import Thresholds
from aideator_gateway.settings import Settings

PAST_RUNS = 500
"""How many runs are looked through for what attempts have cost."""


def plan(file: Path, flags: dict[str, Any], *, as_json: bool) -> None:
    """Say what to expect of an experiment."""
    # A second of imports, which only figures need.
    from aideator_gateway.command.terminal.forecasts import forecast_lines  # noqa: PLC0415
    from aideator_gateway.experiments.forecast import forecast  # noqa: PLC0415

    settings = Settings.load(flags)
    read, _ = read_file(file, settings)
    with explained(), for_reading(settings) as client:
        past = client.runs(PAST_RUNS)
    with explained():
        state = State.of(read_journal(journal_of(settings, read)))
        scripted = state.begun[-1].scripted if state.begun else False
        named = flags.get("model") is not None
        found = forecast(
            resumed(read, state, model=settings.model, scripted=scripted, named=named), past
        )
    if as_json:
        say_json(asdict(found))
        return
    for line in forecast_lines(read, found):
        say(line)


def carry_out(file: Path, flags: dict[str, Any], wanted: Wanted, *, as_json: bool) -> int:
    """Carry out an experiment, say what came of it, and return the command's exit code."""
    settings = Settings.load(flags)
    read, local = read_file(file, settings)
    thresholds = wanted.checked(read)
    settings = Settings.load({**flags, "allow_file": local or flags.get("allow_file")})
    settings = settings.model_copy(
        update={"max_concurrent_runs": max(read.at_once, settings.max_concurrent_runs)}
    )
    stop = Stop()
    with explained(), for_runs(settings, flags) as client:
        named = flags.get("model") is not None and not settings.demo
        ready = client.readiness()
        with Journal.opened(journal_of(settings, read)) as journal, stoppable(stop):
            beginning = begin(
                journal,
                read,
                _versions(),
                # The gateway may have a default of its own.
                model=settings.model if named else ready.model,
                scripted=ready.scripted,
                named=named,
            )
            _say_beginning(beginning)
            with ProgressLine(as_json=as_json) as line:
                runner = Runner(
                    beginning, journal, ExperimentGateway(client), stop=stop, tell=line.tell
                )
                ending = runner.carry_out()
        code = _said(ending, line.last, as_json=as_json)
        plan, state = beginning.plan, beginning.state
        found = say_results(plan, state, client, settings, wanted, table=not as_json)
    if code == COMPLETED:
        return _thresholds_said(missed(plan, found, thresholds), thresholds, as_json=as_json)
    return code


def _versions() -> dict[str, str]:
    return {"aideator": version("aideator"), "python": platform.python_version()}


@contextmanager
def stoppable(stop: Stop) -> Iterator[None]:
    """Let Ctrl-C wish to stop, while the block runs; SIGTERM and SIGHUP wish it twice at once."""

    def pressed(number: int, frame: FrameType | None) -> None:
        del frame
        if stop.level > 1:
            raise LeftAtOnce("Left at once: run the same command again to go on.")
        stop.press(None if number == signal.SIGINT else 2)

    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # nohup means it
            signal.signal(number, pressed)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say_beginning(beginning: Beginning) -> None:
    if beginning.unused:
        say(
            f"Note: {beginning.unused} attempts that were made are no part of this experiment any "
            "more, as its file is now.",
            err=True,
        )


def _said(ending: Ending, last: Progress | None, *, as_json: bool) -> int:
    """Say how it ended, and return the exit code."""
    if as_json:
        say_json({"event": "ended", **asdict(ending), "complete": ending.complete})
    else:
        say(ending_text(ending, last))
    for why in ending.why:
        say(f"Error: {why}", err=True)
    if ending.complete:
        return COMPLETED
    return CANCELLED if ending.stopped and not ending.why else FAILED


def _thresholds_said(missing: Sequence[str], thresholds: Thresholds, *, as_json: bool) -> int:
    """Say which thresholds are not reached, and return the exit code."""
    if thresholds and as_json:
        say_json({"event": "thresholds", "reached": not missing, "missing": missing})
    for one in missing:
        say(f"Not reached: {one}", err=True)
    return NOT_REACHED if missing else COMPLETED
