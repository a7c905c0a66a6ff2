"""A run's check on what agents leave: a stranger's command on a stranger's code.

Each runs in a sandbox of its own that never had a key: the result's tree, an empty home and
temp, the system to be read, and no network unless the operator allows it. Whatever it does
there is a finding, not an error.
"""

import asyncio
import fcntl
import logging
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

from aideator.protocol.commands import (
    LIMIT_PROCESSES,
    LIMITS,
    NOBODY,
    NOT_RUN,
    TAIL_BYTES,
    WAS_STOPPED,
)
from aideator_gateway.backends.children import plain_environment, run
from aideator_gateway.backends.git import network_environment
from aideator_gateway.backends.local.sandbox import (
    PROBE_SECONDS,
    REMEDY,
    bubblewrap_command,
    network_files,
)
from aideator_gateway.backends.local.tree import Tree
from aideator_gateway.runs.model import CheckResult, CheckStatus
from aideator_gateway.settings import Settings
from aideator_gateway.waiting import unless

logger = logging.getLogger(__name__)

PREPARE_SECONDS = 600.0
"""How long handing a tree over to the check's user may take."""

_BEGUN = "begun"

# What is said before the check begins is not the check's, so the two go separate ways.
_SCRIPT = f'cd "$2" && echo {_BEGUN} >&2 && exec sh -c "$1" 2>&1'

_AS_NOBODY = f"""
import os, sys
os.setgroups([])
os.setgid({NOBODY})
os.setuid({NOBODY})
os.execvp(sys.argv[1], sys.argv[1:])
"""


class Checks:
    """Runs checks, or says why it does not.

    Parameters
    ----------
    settings
        How long a check may take, and what the operator allows it.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # Plain only once the operator is known to allow it, so that no mistake makes it so.
        self._sandboxed = True
        self.problem: str | None = "Checks are run once the server has started."
        """Why none is run, and what to do about it; ``None`` where they are."""
        self.note = ""
        """What a person should know about how they are run, if anything."""

    async def start(self, bubblewrap_problem: str | None) -> None:
        """Find out whether checks can be kept apart from this machine, by trying one.

        Parameters
        ----------
        bubblewrap_problem
            Why bubblewrap does not even work for agents, if it does not.
        """
        problem = bubblewrap_problem or await self._try()
        self.problem = None
        if problem and self._settings.check_unsandboxed:
            self._sandboxed = False
            self.note = "checks run as plain processes (--check-unsandboxed)"
            logger.warning(
                "%s: a run's check can do what this user can do, and reach the network", problem
            )
        elif problem:
            self.problem = (
                f"Checks are run in bubblewrap, and {problem}. {REMEDY}, leave the check out, or "
                "start the server with --backend dagger or --check-unsandboxed."
            )

    async def _try(self) -> str | None:
        with tempfile.TemporaryDirectory(prefix="aideator-probe-") as name:
            tree = Tree(Path(name) / "tree")
            tree.path.mkdir()
            # Each of these is what a test suite needs most.
            command = "touch made && touch ../tmp/made /tmp/made /dev/shm/made"
            result = await self.check(
                command, tree, Path(name) / "check", asyncio.Event(), seconds=PROBE_SECONDS
            )
        lines = result.output.strip().splitlines()
        return None if result.passed else f"it does not work here: {lines[-1] if lines else result}"

    async def check(
        self, command: str, tree: Tree, directory: Path, stop: asyncio.Event, *, seconds: float
    ) -> CheckResult:
        """Run ``command`` in a tree, and say how it went.

        Parameters
        ----------
        tree
            What an agent left. It is moved into ``directory`` and may be changed there.
        directory
            A directory to be made, and all that the check can write.
        stop
            Stops the check when it is set.
        seconds
            Time after which it is stopped.
        """
        started = time.monotonic()
        code, why, status = None, "", CheckStatus.NOT_RUN
        try:
            # Open to be entered: bubblewrap does that without the rights of root.
            directory.mkdir(mode=0o711)
            # Not a copy: the agent has ended, and its patch is taken.
            tree = tree.moved_to(directory / "repo")
            await unless(stop, self._prepare(tree, directory))
            # A file, not a pipe: what a check leaves running may hold on to it, and one that
            # prints without end costs the gateway nothing.
            with tempfile.TemporaryFile(dir=directory.parent) as output:
                self._hand_over(output)
                started = time.monotonic()
                try:
                    work = run(
                        *self._launched(tree, directory, command),
                        environment=self._environment(directory), seconds=seconds,
                        stdout=output.fileno(),
                    )  # fmt: skip
                    ended = await unless(stop, work)
                except TimeoutError:
                    status = CheckStatus.TIMED_OUT
                    why = f"{WAS_STOPPED}: it took longer than {seconds:g} s."
                else:
                    if ended is None:
                        status = CheckStatus.CANCELLED
                        why = f"{WAS_STOPPED}: the run was cancelled."
                    elif ended.said.endswith(_BEGUN):
                        code = ended.code
                        status = CheckStatus.FAILED if code else CheckStatus.PASSED
                    else:
                        why = f"{NOT_RUN}: {ended.said or ended.code}"
                said = _end_of(output)
        except OSError as error:
            said, why = "", f"{NOT_RUN}: {error}"
        return CheckResult(
            status=status,
            command=command,
            exit_code=code,
            seconds=round(time.monotonic() - started, 2),
            output=f"{said.rstrip()}\n{why}".strip() if why else said,
            passed=code == 0,
        )

    @property
    def _as_nobody(self) -> bool:
        """Whether a check has an account of its own: no limit on processes would bind root."""
        return self._sandboxed and os.geteuid() == 0

    async def _prepare(self, tree: Tree, directory: Path) -> None:
        for name in ("home", "tmp"):
            (directory / name).mkdir()
        if self._as_nobody:
            words = ["chown", "-hR", f"{NOBODY}:{NOBODY}", str(directory)]
            ended = await run(
                *tree.seen_by(words), environment=plain_environment(), seconds=PREPARE_SECONDS
            )
            if ended.code != 0:
                raise OSError(ended.said)

    def _hand_over(self, output: IO[bytes]) -> None:
        # Else what a check writes after it has opened /dev/stderr would go over it.
        fcntl.fcntl(output, fcntl.F_SETFL, os.O_APPEND)
        if self._as_nobody:
            os.fchown(output.fileno(), NOBODY, NOBODY)

    def _launched(self, tree: Tree, directory: Path, command: str) -> list[str]:
        """Return what runs the command in its tree."""
        words = [command, str(tree.path)]
        if not self._sandboxed:
            # Their number would be counted with all other processes of this user.
            return tree.seen_by(["sh", "-c", f"{LIMITS}; {_SCRIPT}", "aideator", *words])
        sandbox = bubblewrap_command(
            directory,
            readable=[*self._settings.check_path, *network_files()],
            options=tree.bubblewrap_options,
            network=self._settings.check_network,
            changes_user=self._as_nobody,
        )
        argv = [
            *sandbox,
            *([sys.executable, "-I", "-c", _AS_NOBODY] if self._as_nobody else ()),
            "sh", "-c", f"{LIMIT_PROCESSES}; {LIMITS}; {_SCRIPT}", "aideator", *words,
        ]  # fmt: skip
        return tree.seen_by(argv, as_itself=False)

    def _environment(self, directory: Path) -> dict[str, str]:
        network = network_environment(os.environ) if self._settings.check_network else {}
        return {
            **network,
            "PATH": plain_environment()["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(directory / "home"),
            "TMPDIR": str(directory / "tmp"),
        }


def stopped_with_gateway(command: str) -> CheckResult:
    """Return what is known of a check that was at work when the gateway ended."""
    return CheckResult(
        status=CheckStatus.INTERRUPTED,
        command=command,
        exit_code=None,
        seconds=0.0,
        output=f"{WAS_STOPPED}: the gateway ended.",
        passed=False,
    )


def _end_of(output: IO[bytes]) -> str:
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - TAIL_BYTES))
    return output.read(TAIL_BYTES).decode(errors="replace")
