"""CheckResult object, and how a check is run."""

import re
from typing import Annotated

import dagger
from dagger import Container, Directory, Doc, ReturnType, dag, field

from aideator.containers import REPOSITORY, STOPPED, USER, Command
from aideator.errors import engine_message
from aideator.protocol.commands import (
    LIMIT_PROCESSES,
    NOT_RUN,
    TAIL_BYTES,
    WAS_STOPPED,
)
from aideator.sdk import dagger_object

HOME = "/aideator/home"

# The output goes to a file, whose size is limited, and its end is what is shown: a check
# that prints without end costs neither the engine's disk nor anybody's terminal.
_SCRIPT = """
{limit_processes}
read before rest </proc/uptime
"$@" >{home}/output 2>&1 </dev/null
code=$?
read after rest </proc/uptime
echo "$code $before $after"
tail -c {tail} {home}/output
"""

_HEAD = re.compile(r"(?P<code>\d+) (?P<before>[\d.]+) (?P<after>[\d.]+)")


@dagger_object
class CheckResult:
    """What the check command said about a result. It never decides which one is best."""

    command: Annotated[str, Doc("The command.")] = field()
    exit_code: Annotated[
        int | None, Doc("Its exit code; null if it was stopped or could not be run.")
    ] = field()
    seconds: Annotated[float, Doc("How long it took.")] = field()
    output: Annotated[str, Doc("The end of its output, or why it could not be run.")] = field()
    passed: Annotated[bool, Doc("Whether it ended with exit code 0.")] = field()


async def run_check(container: Container, tree: Directory, command: Command) -> CheckResult:
    """Run ``command`` on a result, in a container of its own that never had an API key.

    A check that fails, hangs or cannot be run is a finding, not an error.

    Parameters
    ----------
    container
        The container to run in.
    tree
        The repository as an agent left it.
    """
    script = _SCRIPT.format(limit_processes=LIMIT_PROCESSES, home=HOME, tail=TAIL_BYTES)
    container = (
        container.with_mounted_directory(REPOSITORY, tree, owner=USER)
        .with_directory(HOME, dag.directory(), owner=USER)
        .with_workdir(REPOSITORY)
        .with_user(USER)
        .with_env_variable("HOME", HOME)
        .with_exec(["sh", "-c", script, "aideator", *command.argv()], expect=ReturnType.ANY)
    )
    try:
        said = await container.stdout()
    except dagger.QueryError as error:
        return _check(command.text, None, 0.0, f"{NOT_RUN}: {engine_message(error)}")
    head, _, output = said.partition("\n")
    match = _HEAD.fullmatch(head)
    if match is None:
        return _check(command.text, None, 0.0, f"{NOT_RUN}: {said or 'no output'}")
    code = int(match["code"])
    taken = round(float(match["after"]) - float(match["before"]), 2)
    if code in STOPPED:
        return _check(command.text, None, taken, f"{output.rstrip()}\n{WAS_STOPPED}.".strip())
    return _check(command.text, code, taken, output)


def _check(command: str, exit_code: int | None, seconds: float, output: str) -> CheckResult:
    return CheckResult(
        command=command,
        exit_code=exit_code,
        passed=exit_code == 0,
        seconds=seconds,
        output=output,
    )
