"""The command's pages say what the command does."""

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from aideator_gateway.command.cli import cli, exits

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs/command.md").read_text(encoding="utf-8")
SETTINGS = (ROOT / "docs/settings.md").read_text(encoding="utf-8")


def section(command: str) -> str:
    """Return the part of the page about one command."""
    found = re.search(rf"^## `aideator {command}\b.*?(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, f"docs/command.md has no section on {command}"
    return found[0]


def commands() -> list[tuple[str, click.Command]]:
    """Return all commands, those of groups under the group's name as well."""
    found = []
    for name, command in cli.commands.items():
        found.append((name, command))
        if isinstance(command, click.Group):
            found += [(f"{name} {inner}", one) for inner, one in command.commands.items()]
    return found


def options() -> list[tuple[str, str]]:
    return [
        (name, flag)
        for name, command in commands()
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for flag in (*parameter.opts, *parameter.secondary_opts)
    ]


@pytest.mark.parametrize(("command", "flag"), options())
def test_every_option_is_documented(command: str, flag: str) -> None:
    assert f"`{flag}`" in section(command) or f"| `{flag}`" in SETTINGS


def test_every_command_has_help_and_every_option_too() -> None:
    assert set(re.findall(r"^## `aideator ([a-z-]+)", PAGE, re.MULTILINE)) == set(cli.commands)
    for name, command in commands():
        assert command.help, name
        assert "Undefined" not in command.get_help(click.Context(command))
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{name} {parameter.name}"


def test_every_option_on_the_page_exists() -> None:
    known = {flag for _, flag in options()} | {"--version", "--help", "-h"}
    assert set(re.findall(r"`(--?[a-z0-9][a-z0-9-]*)`", PAGE)) <= known


def test_exit_codes_are_documented() -> None:
    ours = [value for name, value in vars(exits).items() if name.isupper()]
    codes = [*ours, click.UsageError.exit_code]
    documented = re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)
    assert sorted(map(int, documented)) == sorted(codes)


def test_the_settings_page_is_what_the_declarations_say() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/settings_reference.py", "--check"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_pictures_are_there_small_and_load_nothing() -> None:
    pictures = re.findall(r"!\[[^]]+\]\((images/[^)]+)\)", PAGE)
    assert len(pictures) == 4
    for picture in pictures:
        svg = (ROOT / "docs" / picture).read_text(encoding="utf-8")
        assert len(svg) < 300_000
        assert "url(http" not in svg
        assert "scripted&#160;demo" in svg or "scripted demo" in svg
