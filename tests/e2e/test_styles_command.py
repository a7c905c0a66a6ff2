"""Styles and limits of a variation, said at the shell."""

import json
import re
from pathlib import Path

from tests.support.command import error_of, run

DEMO = ("--demo", "--backend", "local", "--demo-tokens-per-second", "1000")


def test_each_style_is_a_variation_and_every_view_shows_it(
    repository: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    (data / "styles").mkdir(parents=True)
    (data / "styles" / "haiku.md").write_text("Sum up in verse.\n")
    done = run(
        "run", ".", "x", *DEMO, "--data-dir", str(data),
        "--condition", "label=first,max_turns=3,max_seconds=60",
        "--style", "smallest", "--style", "haiku",
        cwd=repository,
    )  # fmt: skip
    out = done.stdout.decode()
    for name in ("[1 first]", "[2 smallest]", "[3 haiku]", "── variation 3 (haiku)"):
        assert name in out
    rows = [line.split() for line in out.splitlines() if re.match(r" *[1-3] .* completed ", line)]
    assert [row[1:3] for row in rows] == [
        ["first", "completed"], ["smallest", "completed"], ["haiku", "completed"],
    ]  # fmt: skip
    assert rows[0][3] == "(limit_turns)"
    assert " label  style " in out

    (data / "styles" / "haiku.md").unlink()
    shown = run("show", "3", "--data-dir", str(data), cwd=tmp_path).stdout.decode()
    assert "style: haiku\nstyle_text: Sum up in verse.\n" in shown
    shown = run("show", "1", "--data-dir", str(data), cwd=tmp_path).stdout.decode()
    assert "max_turns: 3\nmax_seconds: 60.0\n" in shown
    table = run("show", "--data-dir", str(data), cwd=tmp_path).stdout.decode()
    assert "3         haiku" in table
    (listed,) = json.loads(run("list", "--json", "--data-dir", str(data), cwd=tmp_path).stdout)
    assert listed["variations"][2]["condition"]["style_text"] == "Sum up in verse."


def test_a_style_that_is_not_known_starts_nothing(repository: Path, tmp_path: Path) -> None:
    words = ("run", ".", "x", *DEMO, "--data-dir", str(tmp_path / "data"))
    for given, where in (
        (("--style", "tiny"), "--style 1: "),
        (("--condition", "style=tiny"), "--condition 1: style: "),
    ):
        error = error_of(*words, *given, cwd=repository, expect=2)
        assert error.startswith(f"Invalid value for {where}'tiny' is not a known style")
        assert "smallest, test-first, thorough" in error
        assert "style_text" not in error
    error = error_of(*words, "--condition", "max_turns=0", cwd=repository, expect=2)
    assert error.startswith("Invalid value for --condition 1: max_turns: ")
    assert not (tmp_path / "data" / "aideator.db").exists()


def test_styles_and_a_number_must_agree(repository: Path, tmp_path: Path) -> None:
    error = error_of(
        "run", ".", "x", *DEMO, "--data-dir", str(tmp_path / "data"), "--style", "smallest",
        "-n", "2", cwd=repository, expect=2,
    )  # fmt: skip
    assert error == (
        "--variations is 2, but the number of conditions and styles is 1: make them agree, or "
        "leave --variations out."
    )
