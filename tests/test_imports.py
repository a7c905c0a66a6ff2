"""Imports point one way, and each install profile imports what it is for."""

import ast
import functools
import subprocess
import sys
from collections.abc import Collection, Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src"
GATEWAY = ROOT / "gateway/aideator_gateway"

PARTS: dict[str, tuple[str, ...]] = {
    # part of the base package: all that it may import beside itself and the standard library
    "protocol": ("pydantic", "jwt"),
    "agent": ("aideator.protocol", "pydantic", "httpx2"),
    "broker": (
        "aideator.protocol",
        "pydantic",
        "pydantic_core",
        "anthropic",
        "httpx2",
        "uvicorn",
    ),
    # The module ships agent and broker into containers, and never imports them.
    "*.py": ("aideator.protocol", "dagger", "httpx2", "pydantic", "typing_extensions"),
}

ROOMS: dict[str, tuple[str, ...]] = {
    # room of the gateway: the rooms that it may import
    "waiting": (),
    "printable": (),
    "texts": (),
    "addresses": (),
    "hosting": (),
    "providers": (),
    "settings": ("addresses", "hosting.limits", "providers"),
    "runs": ("addresses", "settings", "texts", "waiting"),
    "backends": ("runs", "hosting", "settings", "waiting"),
    "experiments": ("printable", "runs", "texts"),
    "preferences": ("runs", "experiments"),
    "scripted_model": (),
    "demo": ("scripted_model",),
    "http": ("runs", "experiments", "settings", "waiting"),
    "command": (
        "runs",
        "backends",
        "experiments",
        "preferences",
        "http",
        "scripted_model",
        "demo",
        "hosting",
        "printable",
        "providers",
        "settings",
        "waiting",
    ),
}

LIBRARIES = {
    # library: the one room of the gateway that knows it
    "starlette": "http",
    "uvicorn": "hosting",
    "sqlalchemy": "runs",
    "sqlmodel": "runs",
    "prometheus_client": "runs",
    "opentelemetry": "backends",
    "rich": "command",
}


@functools.cache
def imports_of(file: Path, root: Path) -> set[str]:
    """Return the full names of what a file imports, however it writes that."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            # What is imported from a package may be a module of it.
            names |= {f"{_module(node, file, root)}.{alias.name}" for alias in node.names}
    return names


def _module(node: ast.ImportFrom, file: Path, root: Path) -> str:
    if not node.level:
        return node.module or ""
    above = file.relative_to(root).parts[: -node.level]
    return ".".join((*above, *([node.module] if node.module else ())))


def is_of(name: str, packages: Iterable[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def is_foreign(name: str) -> bool:
    return name.partition(".")[0] not in sys.stdlib_module_names


def strangers(files: Collection[Path], root: Path, known: Collection[str]) -> list[str]:
    """Return what files import beside the standard library and what is ``known``."""
    assert files
    return [
        f"{file.relative_to(root)} imports {name}"
        for file in sorted(files)
        for name in sorted(imports_of(file, root))
        if is_foreign(name) and not is_of(name, known)
    ]


def modules_of(part: str) -> tuple[list[Path], list[str]]:
    """Return the files of a part of the base package, and the names they go by."""
    if part.endswith(".py"):
        files = list((SOURCE / "aideator").glob(part))
        return files, [f"aideator.{file.stem}" for file in files]
    return list((SOURCE / "aideator" / part).rglob("*.py")), [f"aideator.{part}"]


def room_of(file: Path) -> str:
    return file.relative_to(GATEWAY).parts[0].removesuffix(".py")


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("import other.http.app", "other.http.app"),
        ("import other.http as web", "other.http"),
        ("from other import http", "other.http"),
        ("from other.http import app", "other.http.app"),
        ("from . import sibling", "package.room.sibling"),
        ("from .sibling import name", "package.room.sibling.name"),
        ("from .. import http", "package.http"),
        ("from ..http.app import name", "package.http.app.name"),
        ("def later():\n    from other import http", "other.http"),
        ("if TYPE_CHECKING:\n    from other import http", "other.http"),
    ],
)
def test_an_import_is_seen_however_it_is_written(tmp_path: Path, written: str, name: str) -> None:
    file = tmp_path / "package/room/file.py"
    file.parent.mkdir(parents=True)
    file.write_text(written)
    assert imports_of(file, tmp_path) == {name}
    assert strangers([file], tmp_path, ()) == [f"package/room/file.py imports {name}"]
    assert strangers([file], tmp_path, [name.rpartition(".")[0]]) == []


@pytest.mark.parametrize(("part", "others"), PARTS.items())
def test_imports_point_one_way(part: str, others: tuple[str, ...]) -> None:
    files, own = modules_of(part)
    assert strangers(files, SOURCE, [*own, *others]) == []


def test_every_part_of_the_base_package_has_its_imports() -> None:
    assert {path.parent.name for path in SOURCE.glob("aideator/*/__init__.py")} == {
        part for part in PARTS if not part.endswith(".py")
    }


def test_what_takes_a_package_that_is_not_in_sandboxes_is_not_the_agents() -> None:
    files, _ = modules_of("agent")
    assert [f for f in files if is_of("aideator.protocol.tokens", imports_of(f, SOURCE))] == []


def test_figures_know_nothing_of_runs_or_files() -> None:
    files = sorted((GATEWAY / "experiments/statistics").glob("*.py"))
    known = ["aideator_gateway.experiments.statistics"]
    assert files
    assert [
        line for line in strangers(files, GATEWAY.parent, known) if " imports aideator" in line
    ] == []


@pytest.mark.parametrize(("room", "others"), ROOMS.items())
def test_rooms_know_only_the_rooms_behind_them(room: str, others: tuple[str, ...]) -> None:
    # Agent and broker are programs of their own; the protocol says how to speak to them.
    known = ["aideator.protocol", *(f"aideator_gateway.{name}" for name in (room, *others))]
    files = [file for file in GATEWAY.rglob("*.py") if room_of(file) == room]
    ours = (" imports aideator.", " imports aideator_gateway")
    found = strangers(files, GATEWAY.parent, known)
    assert [line for line in found if any(name in line for name in ours)] == []


def test_every_part_of_the_gateway_has_its_room() -> None:
    parts = {p.stem for p in GATEWAY.iterdir() if p.name not in ("__init__.py", "__pycache__")}
    assert parts == set(ROOMS)


@pytest.mark.parametrize(("library", "room"), LIBRARIES.items())
def test_one_room_knows_a_library(library: str, room: str) -> None:
    knowing = {
        room_of(file)
        for file in GATEWAY.rglob("*.py")
        if any(is_of(name, [library]) for name in imports_of(file, GATEWAY.parent))
    }
    assert knowing == {room}


@pytest.mark.parametrize("backend", ["local", "dagger"])
def test_a_backend_is_known_where_it_is_chosen_and_nowhere_else(backend: str) -> None:
    folder = GATEWAY / "backends" / backend
    package = f"aideator_gateway.backends.{backend}"
    knowing = [
        str(file.relative_to(GATEWAY))
        for file in GATEWAY.rglob("*.py")
        if not file.is_relative_to(folder)
        and any(is_of(name, [package]) for name in imports_of(file, GATEWAY.parent))
    ]
    assert knowing == ["backends/choose.py"]


def test_preferences_are_exported_without_what_figures_need() -> None:
    program = (
        "import sys, aideator_gateway.command.cli.exporting\n"
        "print(*(name for name in ('numpy', 'scipy', 'choix') if name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


def test_a_command_imports_neither_the_server_nor_what_experiments_need() -> None:
    program = (
        "import sys, aideator_gateway.command.cli\n"
        "server = ('sqlalchemy', 'uvicorn', 'starlette')\n"
        "figures = ('numpy', 'scipy', 'choix', 'aideator_gateway.experiments')\n"
        "print(*(name for name in server + figures if name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


def test_the_protocol_costs_agents_no_package_for_tokens() -> None:
    program = "import sys, aideator.protocol, aideator.protocol.prices; print('jwt' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
