"""The containers of a run: what all variations share, built in layers that change seldom first."""

from dataclasses import dataclass

import dagger
from dagger import Container, Directory, dag

from aideator.errors import engine_message, unusable
from aideator.protocol import ErrorCode
from aideator.protocol.commands import LIMITS, MAX_SECONDS, NOBODY

DEFAULT_IMAGE = "python:3.13-slim"

_UNSUPPORTED = ErrorCode.BASE_IMAGE_UNSUPPORTED
_REMEDY = "name an image with Python 3.11 or newer, pip, and git or apt-get, apk or dnf"

REPOSITORY = "/repo"
GIT_DIR = "/aideator/git"
PACKAGES = "/aideator/packages"
PROGRAM = "/aideator/program"
REQUIREMENTS = "/aideator/requirements.txt"

USER = f"{NOBODY}:{NOBODY}"
"""Who agents and checks run as."""

SETUP_SECONDS = 1800

STOPPED = (124, 137)
"""Exit codes of a command that ``timeout`` stopped, in kindness or not."""

_PROBE = """
command -v python3 >/dev/null || { echo "has no python3" >&2; exit 64; }
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    { echo "has $(python3 -V 2>&1)" >&2; exit 64; }
python3 -m pip --version >/dev/null 2>&1 || { echo "has a python3 without pip" >&2; exit 64; }
"""

_GIT = """
command -v git >/dev/null && exit 0
if command -v apt-get >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq && apt-get install -y -qq --no-install-recommends git >/dev/null &&
        rm -rf /var/lib/apt/lists/*
elif command -v apk >/dev/null; then apk add --no-cache git
elif command -v microdnf >/dev/null; then microdnf install -y git
elif command -v dnf >/dev/null; then dnf install -y git
else echo "has no git, and no apt-get, apk or dnf to install it with" >&2; exit 64
fi
"""

# Official images of Python have no bytecode of the standard library; without it a start is slower.
_LIBRARY = """
library=$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))') &&
python3 -m compileall -qq -j 0 --invalidation-mode unchecked-hash -x site-packages "$library"
true
"""

# The hashes are those of the lock file. Bytecode is made here, once: without it, every start
# of every agent compiles its packages anew.
_INSTALL = f"""
export PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
python3 -m pip install --quiet --require-hashes --no-deps --no-compile \\
    --target {PACKAGES} --requirement {REQUIREMENTS} &&
python3 -m compileall -q --invalidation-mode unchecked-hash {PACKAGES}
"""

# Every file of the tree belongs to the base commit, also one that .gitignore names.
_COMMIT = f"""
set -e
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
export GIT_AUTHOR_NAME=AIdeator GIT_AUTHOR_EMAIL=aideator@localhost
export GIT_AUTHOR_DATE=2000-01-01T00:00:00+0000
export GIT_COMMITTER_NAME=AIdeator GIT_COMMITTER_EMAIL=aideator@localhost
export GIT_COMMITTER_DATE=2000-01-01T00:00:00+0000
git init --quiet --bare --template= --initial-branch=base {GIT_DIR}
cd {REPOSITORY}
git="git --git-dir={GIT_DIR} --work-tree={REPOSITORY} -c safe.directory=* -c core.autocrlf=false"
$git add --all --force
$git commit --quiet --allow-empty --no-verify --no-gpg-sign --message=Base
"""


@dataclass(frozen=True)
class Command:
    """A shell command of the caller's, and the time after which it is stopped."""

    text: str
    seconds: int

    def argv(self) -> list[str]:
        """Return what runs it with limits on memory, file size and time."""
        script = f'{LIMITS}; exec timeout -k 10 {self.seconds} sh -c "$1"'
        return ["sh", "-c", script, "aideator", self.text]


def command(argument: str, text: str | None, seconds: int) -> Command | None:
    """Return the command that a caller named in ``argument``, if any.

    Raises
    ------
    FunctionError
        It is empty, or its time is out of bounds.
    """
    if text is None:
        return None
    if not text.strip():
        raise unusable(argument, "the command is empty; leave it out, or give one.")
    if not 1 <= seconds <= MAX_SECONDS:
        raise unusable(f"{argument}_seconds", f"{seconds} is not between 1 and {MAX_SECONDS}.")
    return Command(text, seconds)


@dataclass(frozen=True)
class Bench:
    """What all variations of a run start from.

    Attributes
    ----------
    agent
        The base image, git, the agent and its packages, the repository and its base
        commit: where agents run. Nothing of the repository was ever executed in it.
    workspace
        The same base with the set-up command run in it: where checks run.
    """

    agent: Container
    workspace: Container


async def prepared(image: str) -> Container:
    """Return ``image`` with git and the agent's locked packages.

    Raises
    ------
    FunctionError
        The image cannot be had, or is not one that agents can run in.
    """
    container = await pulled(image, "base_image")
    try:
        await container.with_exec(["sh", "-c", _PROBE]).sync()
        container = await _compiled(container).with_exec(["sh", "-c", _GIT]).sync()
        return await _installed(container, "requirements.txt").sync()
    except dagger.ExecError as error:
        if error.exit_code == 64:
            problem = f"{image} {error.stderr.strip()}; {_REMEDY}."
            raise unusable("base_image", problem, _UNSUPPORTED) from None
        raise not_prepared(image, error) from None
    except dagger.QueryError as error:
        problem = f"{image} cannot run sh ({engine_message(error)}); {_REMEDY}."
        raise unusable("base_image", problem, _UNSUPPORTED) from None


def broker_image(image: str, *, clouds: bool) -> Container:
    """Return ``image`` with the broker and its locked packages.

    Nothing is looked at before it is used, which keeps the start short: ``prepared`` says what
    is wrong with an image.

    Parameters
    ----------
    clouds
        With the packages by which clouds are asked, too.
    """
    requirements = "broker-clouds-requirements.txt" if clouds else "broker-requirements.txt"
    installed = _installed(_compiled(dag.container().from_(image)), requirements)
    return on_path(installed.with_directory(PROGRAM, _program(installed, "broker")))


def _compiled(container: Container) -> Container:
    # Straight on the image: agents and the broker have this layer in common.
    return container.with_exec(["sh", "-c", _LIBRARY])


def _installed(container: Container, requirements: str) -> Container:
    file = dag.current_module().source().file(f"src/aideator/{requirements}")
    return container.with_file(REQUIREMENTS, file).with_exec(["sh", "-c", _INSTALL])


def not_prepared(image: str, error: dagger.ExecError) -> Exception:
    """Return what a command that failed means for who named an image."""
    said = last_lines(error.stderr or error.stdout)
    return unusable("base_image", f"{image} could not be prepared: {said}", _UNSUPPORTED)


async def bench(base: Container, source: Directory, setup: Command | None) -> Bench:
    """Return what all variations on ``source`` start from.

    Parameters
    ----------
    base
        What ``prepared`` returned.
    source
        The repository's tree, without ``.git``.
    setup
        A command that is run once in the repository, as root.

    Raises
    ------
    FunctionError
        The set-up command failed or took too long.
    """
    git_dir = (
        base.with_mounted_directory(REPOSITORY, source)
        .with_exec(["sh", "-c", _COMMIT])
        .directory(GIT_DIR)
    )
    workspace = base.with_directory(REPOSITORY, source, owner=USER).with_workdir(REPOSITORY)
    tree = source
    if setup:
        workspace = await _set_up(workspace, setup)
        tree = workspace.directory(REPOSITORY)
    # Set-up runs what the repository says. So the container that agents and their tokens are in
    # is not the one it ran in: it only takes the repository's files from there.
    agent = await (
        base.with_directory(PROGRAM, _program(base, "agent"))
        .with_directory(GIT_DIR, git_dir)
        .with_directory(REPOSITORY, tree, owner=USER)
        .with_workdir(REPOSITORY)
        .sync()
    )
    return Bench(agent=agent, workspace=workspace)


async def pulled(address: str, argument: str) -> Container:
    """Return the container of an image that a caller named in ``argument``."""
    try:
        return await dag.container().from_(address).sync()
    except dagger.QueryError as error:
        problem = f"{address!r:.200} cannot be pulled: {engine_message(error)}"
        raise unusable(argument, problem, _UNSUPPORTED) from None


async def _set_up(workspace: Container, setup: Command) -> Container:
    try:
        return await workspace.with_exec(setup.argv()).sync()
    except dagger.ExecError as error:
        if error.exit_code in STOPPED:
            problem = f"did not end within {setup.seconds} s and was stopped"
        else:
            problem = f"ended with exit code {error.exit_code}"
        said = last_lines(error.stderr or error.stdout)
        raise unusable(
            "setup", f"{setup.text!r:.200} {problem}: {said}", ErrorCode.SETUP_FAILED
        ) from None


def _program(base: Container, name: str) -> Directory:
    sources = (
        dag.current_module()
        .source()
        .directory("src/aideator")
        .filter(include=["__init__.py", f"{name}/**", "protocol/**"])
    )
    compiled = ["python3", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    return (
        base.with_directory(f"{PROGRAM}/aideator", sources)
        .with_exec([*compiled, PROGRAM])
        .directory(PROGRAM)
    )


def python(program: str) -> list[str]:
    """Return what starts one of our programs; see ``on_path``.

    Nothing in the directory it starts in can become a module of it, nor a user's own.
    """
    return ["python3", "-P", "-s", "-m", f"aideator.{program}"]


def on_path(container: Container) -> Container:
    """Let Python find our programs and their packages in a container."""
    return container.with_env_variable("PYTHONPATH", f"{PROGRAM}:{PACKAGES}").with_env_variable(
        "PYTHONDONTWRITEBYTECODE", "1"
    )


def last_lines(output: str) -> str:
    """Return the last lines of what a command said, short enough for one line."""
    lines = [line.strip() for line in output.strip().splitlines() if line.strip()]
    return " / ".join(lines[-5:])[-800:] or "it said nothing"
