"""Start the agent. Wiring only, and in an order that gets the first line out early."""

import argparse
import gc
import os
import sys
import time
from collections.abc import MutableMapping
from pathlib import Path

from aideator.agent.emitter import Emitter
from aideator.agent.report import Report
from aideator.agent.stop import Stop, hold_signals
from aideator.agent.textview import TextView

_SECRETS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")


def main() -> int:
    """Run one attempt; the exit code is 0 whenever the attempt's ending could be told."""
    started = time.monotonic()
    secrets = _taken(os.environ)
    # Nothing is heard until the first event is whole: on stdout and in the transcript alike.
    hold_signals()
    arguments = _parser().parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    emitter = Emitter(
        run=os.environ.get("AIDEATOR_RUN_ID") or "run_local",
        variation=int(os.environ.get("AIDEATOR_VARIATION_ID") or 1),
        attempt=int(os.environ.get("AIDEATOR_ATTEMPT") or 1),
        output=arguments.output,
        view=None if arguments.events == "json" else TextView(),
    )
    report = Report(emitter, arguments.output, started)
    emitter.status("starting", "The agent starts.")
    stop = Stop(lambda: _leave(report))
    stop.listen(stdin=arguments.watch_stdin)
    # Imports make objects by the ten thousand, and no garbage that is worth looking for.
    gc.disable()
    from aideator.agent.start import start  # noqa: PLC0415

    gc.freeze()
    gc.enable()
    start(arguments, secrets, emitter, report, stop)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m aideator.agent", description=__doc__)
    parser.add_argument("--task", type=Path, required=True, help="JSON of the task")
    parser.add_argument("--workspace", type=Path, required=True, help="tree to work on")
    parser.add_argument("--git-dir", type=Path, required=True, help="its git directory")
    parser.add_argument("--index", type=Path, help="index of the commit that knows its files there")
    parser.add_argument("--output", type=Path, required=True, help="where results go")
    parser.add_argument("--events", choices=("json", "text"), default="text")
    parser.add_argument("--watch-stdin", action="store_true", help="stop when stdin ends")
    return parser


def _taken(environment: MutableMapping[str, str]) -> dict[str, str]:
    """Take Anthropic's variables out of the environment and return the secrets among them.

    No child of this program sees the key, and nothing but the task can say where it is sent.
    """
    settings = {
        name: environment.pop(name) for name in list(environment) if name.startswith("ANTHROPIC_")
    }
    return {name: settings[name] for name in _SECRETS if settings.get(name)}


def _leave(report: Report) -> None:
    """End before there is anything to stop, without a wait for the main thread's imports."""
    report.cancelled()
    os._exit(0)


if __name__ == "__main__":
    exit_code = main()
    # All is handed over. What would follow is taking modules apart, for which a harness
    # would have to wait.
    sys.stderr.flush()
    os._exit(exit_code)
