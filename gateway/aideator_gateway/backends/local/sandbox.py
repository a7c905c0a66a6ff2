"""What keeps one agent process apart from the machine and from its siblings.

bubblewrap where it is there and works: a read-only view of the few system directories
that Python and git need, a private home and temp, process and user namespaces, and no network:
the model is reached by a Unix socket. Else a plain process; its limits on memory and files are
set by the agent program itself.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import aideator
from aideator_gateway.backends.children import plain_environment, run

PROBE_SECONDS = 10.0

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/opt/homebrew")
CONFIGURATION = (
    "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives",
    "/etc/nsswitch.conf", "/etc/passwd", "/etc/group", "/etc/localtime",
)  # fmt: skip
NETWORK_CONFIGURATION = (
    "/etc/ssl", "/etc/ca-certificates", "/etc/pki", "/etc/crypto-policies",
    "/etc/resolv.conf", "/etc/hosts", "/etc/gai.conf", "/run/systemd/resolve",
)  # fmt: skip
"""Also for a program without a network: test suites look up their own machine's name."""


def bubblewrap_command(
    directory: Path,
    *,
    readable: Iterable[str] = (),
    options: Iterable[str] = (),
    network: bool = False,
    changes_user: bool = False,
) -> list[str]:
    """Return the words before a command that runs it in bubblewrap.

    Parameters
    ----------
    directory
        The only directory that can be written, under its own name.
    readable
        More files, directories and Unix sockets that can be reached, under their own names.
    options
        More options, for what is to be seen within ``directory``.
    network
        Whether it can reach the network; else it has a loopback of its own alone.
    changes_user
        Whether it is root, and becomes another user before it does anything else.
    """
    paths = [*readable, *SYSTEM, *CONFIGURATION, *map(str, _python_directories())]
    return [
        "bwrap",
        "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try",
        *(() if network else ("--unshare-net",)),
        "--die-with-parent", "--new-session", "--cap-drop", "ALL",
        "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp",  # noqa: S108 - its own
        *(_open_to_all([*paths, str(directory)]) if changes_user else ("--unshare-user",)),
        *(word for path in paths for word in ("--ro-bind-try", path, path)),
        "--bind", str(directory), str(directory),
        *options,
        "--chdir", str(directory),
        "--",
    ]  # fmt: skip


def _open_to_all(paths: Iterable[str]) -> list[str]:
    """Return the options by which another user than bubblewrap's can get to ``paths``."""
    parents = dict.fromkeys(p for path in paths for p in reversed(Path(path).parents[:-1]))
    return [
        "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID",
        *(
            word
            for shared in ("/tmp", "/dev/shm")  # noqa: S108 - its own
            for word in ("--perms", "1777", "--tmpfs", shared)
        ),
        *(word for path in parents for word in ("--perms", "0755", "--dir", str(path))),
    ]  # fmt: skip


def _python_directories() -> list[Path]:
    package = Path(next(iter(aideator.__path__))).parent
    found = [
        Path(sys.prefix),
        Path(sys.base_prefix),
        Path(sys.executable).resolve().parent,
        package,
    ]
    return [path for path in found if not path.is_relative_to("/usr")]


def network_files() -> list[str]:
    """Return files by which programs find hosts and trust them."""
    own = [os.environ[name] for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if name in os.environ]
    return [*NETWORK_CONFIGURATION, *own]


REMEDY = "Install bubblewrap, or let it make user namespaces (the guide for operators says how)"
"""What to do about a ``bubblewrap_problem``."""


async def bubblewrap_problem() -> str | None:
    """Try bubblewrap once, as agents have it; return ``None`` if it works, else why not."""
    if shutil.which("bwrap") is None:
        return "bubblewrap (bwrap) is not installed"
    with tempfile.TemporaryDirectory(prefix="aideator-probe-") as directory:
        try:
            ended = await run(
                *bubblewrap_command(Path(directory)), sys.executable, "-I", "-c",
                "import subprocess; subprocess.run(['git', '--version'], check=True)",
                environment=plain_environment(), seconds=PROBE_SECONDS,
            )  # fmt: skip
        except TimeoutError:
            return f"bubblewrap did not start a program within {PROBE_SECONDS:.0f} s"
    if ended.code == 0:
        return None
    lines = ended.said.splitlines()
    return f"bubblewrap does not work here: {lines[-1] if lines else ended.code}"
