"""What an install holds, under each of the ways in which people install it."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
UV = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
REQUIREMENTS = re.findall(
    r"^\S+==", (ROOT / "src/aideator/requirements.txt").read_text(), re.MULTILINE
)


def run(*command: str | Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command with nothing of this environment's Python in its own."""
    environment = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH")}
    return subprocess.run(
        [str(word) for word in command], env={**environment, **settings}, cwd=ROOT,
        capture_output=True, text=True, check=False, timeout=110,
    )  # fmt: skip


def declared(*lists: list[str]) -> set[str]:
    """Return the names of the distributions that requirements name."""
    return {_name(re.split(r"[\[<>=~! ]", line)[0]) for lines in lists for line in lines}


def _name(distribution: str) -> str:
    return distribution.lower().replace("_", "-")


GATEWAY_REQUIREMENTS = declared(
    PROJECT["dependencies"], PROJECT["optional-dependencies"]["gateway"]
)


def imported(package: Path) -> dict[str, Path]:
    """Return the top-level names that files import, each with one of the files.

    What experiments import is theirs alone, and no other install needs it.
    """
    found: dict[str, Path] = {}
    for file in package.rglob("*.py"):
        if "experiments" in file.relative_to(package).parts:
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found |= {name.partition(".")[0]: file for name in names}
    return {name: file for name, file in found.items() if name not in sys.stdlib_module_names}


@pytest.mark.parametrize(
    ("package", "requirements"),
    [
        (
            "src/aideator",
            declared(PROJECT["dependencies"], PROJECT["optional-dependencies"]["broker"]),
        ),
        # What its container installs, and nothing else, is there for the agent.
        ("src/aideator/agent", declared(REQUIREMENTS)),
        # Only tokens take PyJWT, and the agent makes and reads none.
        ("src/aideator/protocol", declared(REQUIREMENTS, ["pyjwt"])),
        ("gateway/aideator_gateway", GATEWAY_REQUIREMENTS),
        (
            "gateway/aideator_gateway/experiments",
            GATEWAY_REQUIREMENTS | declared(PROJECT["optional-dependencies"]["experiments"]),
        ),
    ],
)
def test_everything_that_is_imported_is_declared(package: str, requirements: set[str]) -> None:
    distributions = packages_distributions()
    shared = {
        # Several distributions share these names; which one is meant, imports do not say.
        "google": ["protobuf"],
        "opentelemetry": ["opentelemetry-proto"],
        # A part of pydantic, in exactly the version that it asks for.
        "pydantic_core": ["pydantic"],
    }
    missing = {
        name: str(file.relative_to(ROOT))
        for name, file in imported(ROOT / package).items()
        if name not in ("aideator", "aideator_gateway")
        and not {_name(d) for d in shared.get(name, distributions[name])} & requirements
    }
    assert missing == {}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheel")
    done = run(UV, "build", "--quiet", "--wheel", "--out-dir", directory, ROOT)
    assert done.returncode == 0, done.stderr
    return next(directory.glob("*.whl"))


def test_the_wheel_claims_no_name_but_its_own(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.partition("/")[0] for name in archive.namelist()}
    assert {name for name in tops if not name.endswith(".dist-info")} == {
        "aideator",
        "aideator_gateway",
    }


def test_the_wheel_has_the_page_if_it_was_built_and_never_its_sources(wheel: Path) -> None:
    built = ROOT / "gateway/aideator_gateway/http/static"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert ("aideator_gateway/http/static/index.html" in names) == (built / "index.html").is_file()
    assert not [name for name in names if "node_modules" in name or name.endswith(".tsx")]


def test_a_release_without_the_page_is_an_error(wheel: Path, tmp_path: Path) -> None:
    page = "aideator_gateway/http/static/index.html"
    bare, whole = tmp_path / wheel.name, tmp_path / "whole.tar.gz"
    with zipfile.ZipFile(wheel) as found, zipfile.ZipFile(bare, "w") as kept:
        for name in found.namelist():
            if not name.startswith(page.rpartition("/")[0]):
                kept.writestr(name, found.read(name))
    (tmp_path / "index.html").write_text("page")
    with tarfile.open(whole, "w:gz") as sources:
        sources.add(tmp_path / "index.html", f"aideator-1/gateway/{page}")
    script = (sys.executable, ROOT / "scripts/has_page.py")
    done = run(*script, whole, bare)
    assert (done.returncode, str(bare) in done.stderr) == (1, True)
    assert str(whole) not in done.stderr
    assert run(*script, whole).returncode == 0
    # Nothing built is no release either.
    assert run(*script).returncode == 1


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the programs of an install without extras, as a Dagger engine makes it."""
    venv = tmp_path_factory.mktemp("base") / "venv"
    done = run(
        UV, "sync", "--quiet", "--frozen", "--no-dev", "--no-editable",
        "--python", sys.executable, "--project", ROOT, UV_PROJECT_ENVIRONMENT=str(venv),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    yield venv / "bin"
    shutil.rmtree(venv)


def test_a_base_install_imports_the_module_and_the_agent(base: Path) -> None:
    program = (
        "import importlib.util, pkgutil\n"
        "import aideator, aideator.protocol, aideator.agent, dagger\n"
        "assert 'smallest' in aideator.protocol.Styles().names(), 'styles are not installed'\n"
        "for package in (aideator.protocol, aideator.agent):\n"
        "    for found in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        if not found.name.endswith('__main__'):\n"
        "            importlib.import_module(found.name)\n"
        "for name in ('anthropic', 'starlette', 'sqlmodel', 'uvicorn'):\n"
        "    assert importlib.util.find_spec(name) is None, name\n"
    )
    done = run(base / "python", "-I", "-c", program)
    assert done.returncode == 0, done.stderr


def test_the_command_of_a_base_install_says_what_to_install(base: Path) -> None:
    done = run(base / "aideator", "list")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "pip install 'aideator[gateway]'" in done.stderr


def test_uv_tool_install_of_the_wheel_gives_a_command_that_works(
    wheel: Path, tmp_path: Path
) -> None:
    places = {"UV_TOOL_DIR": str(tmp_path / "tools"), "UV_TOOL_BIN_DIR": str(tmp_path / "bin")}
    done = run(
        UV, "tool", "install", "--quiet", "--python", sys.executable,
        f"aideator[gateway] @ {wheel.as_uri()}", **places,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    done = run(tmp_path / "bin/aideator", "list", "--data-dir", tmp_path / "data")
    assert (done.returncode, "no runs yet" in done.stderr) == (0, True), done.stderr
    # Experiments take more, and say what.
    done = run(tmp_path / "bin/aideator", "experiment", "run", ROOT / "pyproject.toml")
    assert (done.returncode, done.stdout) == (1, "")
    assert "pip install 'aideator[experiments]'" in done.stderr
