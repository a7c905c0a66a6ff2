"""Imports point one way, and each install profile imports what it is for."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
GATEWAY = ROOT / "gateway/aideator_gateway"
MODULE_FILES = ("main", "run", "variation", "containers")

FORBIDDEN = {
    # part: what it must not import
    "src/aideator/protocol": (
        "aideator.agent",
        "aideator.broker",
        "dagger",
        "anthropic",
        "aideator_gateway",
    ),
    "src/aideator/agent": (
        "aideator.broker",
        # Of the protocol, what takes a package that is not in sandboxes.
        "aideator.protocol.tokens",
        "dagger",
        "anthropic",
        "aideator_gateway",
    ),
    "src/aideator/broker": ("aideator.agent", "dagger", "aideator_gateway"),
    "src/aideator": ("aideator_gateway",),
}

ROOMS: dict[str, tuple[str, ...]] = {
    # room of the gateway: the rooms that it may import
    "waiting": (),
    "addresses": (),
    "hosting": (),
    "providers": (),
    "settings": ("addresses", "providers", "runs.repository"),
    "runs": ("settings", "waiting"),
    "backends": ("runs", "hosting", "settings", "waiting"),
    "scripted_model": (),
    "demo": ("scripted_model",),
    "http": ("runs", "settings", "waiting"),
    "command": (
        "runs",
        "backends",
        "http",
        "scripted_model",
        "demo",
        "hosting",
        "providers",
        "settings",
        "waiting",
    ),
}


def imports_of(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def offenders(files: list[Path], forbidden: tuple[str, ...]) -> list[str]:
    assert files
    return [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in files
        for name in imports_of(file)
        if any(name == other or name.startswith(f"{other}.") for other in forbidden)
    ]


@pytest.mark.parametrize(("part", "forbidden"), FORBIDDEN.items())
def test_imports_point_one_way(part: str, forbidden: tuple[str, ...]) -> None:
    assert offenders(sorted((ROOT / part).rglob("*.py")), forbidden) == []


def test_the_module_ships_agent_and_broker_and_never_imports_them() -> None:
    files = [f for f in (ROOT / "src/aideator").glob("*.py") if f.name != "__init__.py"]
    if files:
        assert offenders(files, ("aideator.agent", "aideator.broker", "anthropic")) == []


def test_nothing_of_the_gateway_imports_the_broker() -> None:
    # It is a program of its own; the protocol says how to speak to it.
    assert offenders(sorted(GATEWAY.rglob("*.py")), ("aideator.broker",)) == []


def test_only_the_dagger_backend_knows_dagger() -> None:
    files = [file for file in GATEWAY.rglob("*.py") if file.parent.name != "dagger"]
    assert offenders(files, ("dagger",)) == []


@pytest.mark.parametrize(("room", "others"), ROOMS.items())
def test_rooms_know_only_the_rooms_behind_them(room: str, others: tuple[str, ...]) -> None:
    known = {f"aideator_gateway.{name}" for name in (room, *others)}
    files = sorted((GATEWAY / room).rglob("*.py")) or [GATEWAY / f"{room}.py"]
    assert [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in files
        for name in imports_of(file)
        if name.startswith("aideator_gateway")
        and not any(name == other or name.startswith(f"{other}.") for other in known)
    ] == []


def test_every_part_of_the_gateway_has_its_room() -> None:
    parts = {p.stem for p in GATEWAY.iterdir() if p.name not in ("__init__.py", "__pycache__")}
    assert parts == set(ROOMS)


def test_only_the_http_room_knows_starlette() -> None:
    files = [f for f in GATEWAY.rglob("*.py") if f.relative_to(GATEWAY).parts[0] != "http"]
    assert offenders(files, ("starlette",)) == []


def test_a_command_does_not_import_the_server() -> None:
    program = (
        "import sys, aideator_gateway.command.cli\n"
        "server = ('sqlalchemy', 'uvicorn', 'starlette')\n"
        "print(*(name for name in server if name in sys.modules))"
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
