"""What goes wrong is one line with cause and remedy, and an exit code that is documented."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import click
import pytest

from aideator.protocol import ErrorCode, Limits
from aideator_gateway.command.api_error import ApiError
from aideator_gateway.command.cli import cli
from aideator_gateway.command.cli.causes import causes
from aideator_gateway.command.cli.field_names import error_text
from aideator_gateway.command.client import Client
from aideator_gateway.command.datadir import Address
from aideator_gateway.runs.model import Run
from aideator_gateway.runs.problems import FieldError
from aideator_gateway.scripted_model.script import HttpError, Text
from tests.support.command import error_of
from tests.support.programs import path_without
from tests.support.stage import Stage

DEMO = ("--demo", "--backend", "local", "--demo-tokens-per-second", "1000")


def test_no_key(repository: Path, tmp_path: Path) -> None:
    said = error_of("run", ".", "x", "--backend", "local", "--data-dir", str(tmp_path / "data"),
                    cwd=repository)  # fmt: skip
    assert said.startswith("The run failed (missing_api_key): ")
    assert said.endswith(ErrorCode.MISSING_API_KEY.remedy)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (HttpError(401, "authentication_error", "invalid x-api-key"), "authentication_failed"),
        (
            HttpError(400, "invalid_request_error", "Your credit balance is too low to access."),
            "credit_exhausted",
        ),
        (HttpError(404, "not_found_error", "model: no-such-model"), "model_not_found"),
    ],
)
def test_what_the_models_server_refuses(
    repository: Path, stage: Stage, error: HttpError, code: str
) -> None:
    stage.play(default=[[error]])
    said = error_of("run", ".", "x", "-n", "2", *stage.data_dir, here=True, cwd=repository)
    assert said.startswith(f"Variations 1 and 2 failed ({code}): ")
    assert error.message in said
    assert said.endswith(ErrorCode(code).remedy)


def test_one_variation_that_fails_is_told_and_the_run_completes(
    repository: Path, stage: Stage
) -> None:
    refused = HttpError(401, "authentication_error", "invalid x-api-key")
    stage.play({1: [[refused]], 2: [[Text("Done.")]]})
    said = error_of(
        "run", ".", "x", "-n", "2", *stage.data_dir, here=True, cwd=repository, expect=0
    )
    assert said.startswith("Variation 1 failed (authentication_failed): ")


def test_no_repository(stage: Stage, tmp_path: Path) -> None:
    said = error_of("run", "file:///nowhere/at/all", "x", *stage.data_dir, here=True, cwd=tmp_path)
    assert "There is no repository to be read at file:///nowhere/at/all" in said
    assert said.endswith(ErrorCode.REPOSITORY_NOT_FOUND.remedy)


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("git@github.com:user/repo", "https://host/owner/repository"),
        ("https://git.example.com/user/repo", "--allow-host"),
    ],
)
def test_a_url_that_is_refused(stage: Stage, tmp_path: Path, url: str, remedy: str) -> None:
    assert remedy in error_of("run", url, "x", *stage.data_dir, here=True, cwd=tmp_path)


def test_a_url_that_a_gateway_of_its_own_refuses(tmp_path: Path) -> None:
    words = ("run", "file:///tmp/repo", "x", *DEMO, "--data-dir", str(tmp_path / "data"))
    assert "--allow-file" in error_of(*words, cwd=tmp_path)


@pytest.mark.parametrize(
    ("flag", "value", "said"),
    [
        ("--condition", "temperature=nan", "temperature: Input should be a finite number"),
        ("--condition", "label=a,temperature=hot", "temperature: Input should be a valid number"),
        ("--condition", "max_turns=true", "max_turns: Input should be a valid integer"),
        ("--max-cost-usd", "inf", "--max-cost-usd: Input should be a finite number"),
        ("--max-run-cost-usd", "1e400", "--max-run-cost-usd: Input should be a finite number"),
    ],
)
def test_a_number_that_is_none(flag: str, value: str, said: str) -> None:
    words = ["run", "https://github.com/user/repo", "x", flag, value, *DEMO]
    with pytest.raises(click.UsageError) as caught:
        cli.main(words, standalone_mode=False)
    assert said in caught.value.format_message()
    assert caught.value.exit_code == 2


def test_a_check_that_would_not_be_run(repository: Path, tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    programs = path_without(tmp_path / "bin", "bwrap")
    words = ("run", ".", "x", "--check", "true", *DEMO, "--data-dir", data)
    said = error_of(*words, cwd=repository, PATH=programs)
    assert said.startswith("--check: Checks are run in bubblewrap, and bubblewrap (bwrap) is not")
    assert "--check-unsandboxed" in said
    with closing(sqlite3.connect(tmp_path / "data/aideator.db")) as database:
        assert database.execute("SELECT count(*) FROM run").fetchall() == [(0,)]


@pytest.mark.parametrize(
    "words", [("run", ".", "x", *DEMO), ("list",), ("serve", *DEMO, "--port", "0")]
)
def test_a_data_directory_that_cannot_be_used(repository: Path, words: tuple[str, ...]) -> None:
    said = error_of(*words, "--data-dir", "/proc/nowhere", cwd=repository)
    assert said.startswith("The data directory /proc/nowhere cannot be used")
    assert "--data-dir" in said


def test_no_engine(repository: Path, tmp_path: Path) -> None:
    said = error_of(
        "run", ".", "x", "--demo", "--backend", "dagger", "--data-dir", str(tmp_path / "data"),
        cwd=repository, _EXPERIMENTAL_DAGGER_CLI_BIN=str(tmp_path / "nothing"),
    )  # fmt: skip
    assert said.startswith("The run failed (engine_unavailable): ")
    assert said.endswith(ErrorCode.ENGINE_UNAVAILABLE.remedy)


def test_git_is_missing(repository: Path, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("cp", "sh"):
        found = shutil.which(name)
        assert found is not None
        (programs / name).symlink_to(found)
    data = ("--data-dir", str(tmp_path / "data"))
    for words in (("run", ".", "x", *DEMO), ("run", "https://github.com/u/r", "x", *DEMO)):
        said = error_of(*words, *data, cwd=repository, PATH=str(programs))
        assert ErrorCode.GIT_MISSING.remedy in said


def test_a_setting_that_cannot_be_used_names_its_source(tmp_path: Path) -> None:
    assert "AIDEATOR_PORT" in error_of("config", cwd=tmp_path, here=True, AIDEATOR_PORT="many")
    assert "--port" in error_of("config", "--port", "70000", cwd=tmp_path, here=True)


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (("fly",), "No such command"),
        (("run", "."), "Missing argument"),
        (("run", ".", "x", "-n", "6"), "1<=x<=5"),
        (("run", ".", " "), "PROMPT: This field must not be blank"),
        (("run", ".", "x", "--ref", " "), "--ref: This field must not be blank"),
        (("run", ".", "x", "--check", " "), "--check: This field must not be blank"),
        (("run", ".", "@nothing.md"), "'nothing.md' cannot be read (No such file or directory)"),
        (("run", ".", "x", "--max-turns", "0"), "--max-turns"),
        (("run", ".", "x", "--max-turns", "many"), "--max-turns"),
        (("run", ".", "x", "--condition", "careful"), "is not KEY=VALUE; keys are label, model"),
        (
            ("run", ".", "x", "--condition", "label=a", "--condition", "colour=red"),
            "--condition 2: colour: This field is not known; known are label, model, ",
        ),
        (
            ("run", ".", "x", "--condition", "temperature=hot"),
            "--condition 1: temperature: Input should be a valid number",
        ),
        (
            ("run", ".", "x", *(f"--condition=label={number}" for number in range(6))),
            "6 conditions and styles are given, each of them a variation: give at most 5.",
        ),
        (
            ("run", ".", "x", "--conditions", "many.json"),
            "--conditions 2: foo: This field is not known; known are label, model, ",
        ),
        (
            ("run", ".", "x", "--conditions", "odd.json"),
            "--conditions 1: is not a JSON object with the fields of a condition",
        ),
        (("run", ".", "x", "--conditions", "one.json"), "is not a JSON list of conditions"),
        (("run", ".", "x", "-n", "2", "--condition", "label=a"), "make them agree"),
        (("run", ".", "x", "--conditions", "README.md"), "is not a JSON list of conditions"),
        (("show", "--patch", "--json"), "Use one of"),
        (("completion", "tcsh"), "'bash', 'zsh', 'fish'"),
    ],
)
def test_wrong_usage(
    repository: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], remedy: str
) -> None:
    monkeypatch.chdir(repository)
    Path("many.json").write_text('[{"label": "a"}, {"foo": 1}]')
    Path("odd.json").write_text('["label"]')
    Path("one.json").write_text('{"label": "a"}')
    with pytest.raises(click.UsageError) as caught:
        cli.main(list(words), standalone_mode=False)
    assert remedy in caught.value.format_message()


def test_wrong_usage_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    assert error_of("fly", cwd=tmp_path, expect=2) == "No such command 'fly'."


def test_a_gateway_that_does_not_answer() -> None:
    with (
        Client(Address("http://127.0.0.1:9", None)) as client,
        pytest.raises(ApiError, match=r"http://127\.0\.0\.1:9 does not answer") as caught,
    ):
        client.runs(1)
    assert (caught.value.status, caught.value.code) == (0, "unreachable")


@pytest.mark.parametrize("code", list(ErrorCode))
def test_every_code_of_a_run_is_one_line_with_its_remedy(code: ErrorCode) -> None:
    ended = Run.model_validate(
        {
            "run_id": "run_0123456789abcdef",
            "status": "failed",
            "github_url": "https://github.com/user/repo",
            "ref": None,
            "prompt": "x",
            "model": "m",
            "scripted": False,
            "limits": Limits(),
            "code": code,
            "message": "Something\nwith \x1b[2J in it",
            "created_at": "2026-01-01T00:00:00Z",
            "variations": [],
        }
    )
    (line,) = causes(ended)
    remedy = code.remedy.replace("max_seconds", "--max-seconds")
    assert line == f"The run failed ({code}): Something with \\x1b[2J in it. {remedy}"


def test_what_a_gateway_refuses_is_told_in_the_words_of_the_shell(
    stage: Stage, tmp_path: Path
) -> None:
    words = ("x", *stage.data_dir)
    said = error_of("run", "http://github.com/u/r", *words, cwd=tmp_path, here=True)
    assert said.startswith("REPOSITORY: Use the form https://host/owner/repository")
    said = error_of(
        "run", "https://github.com/u/r", *words, "--ref", "a b", cwd=tmp_path, here=True
    )
    assert said.startswith("--ref: Name a branch, a tag or a full commit id")


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("github_url", "REPOSITORY"),
        ("prompt", "PROMPT"),
        ("variations", "--variations"),
        ("limits.max_turns", "--max-turns"),
        ("limits.max_run_cost_usd", "--max-run-cost-usd"),
        ("check", "--check"),
        ("conditions", "--condition"),
        ("conditions.0.label", "--condition 1: label"),
        ("conditions.4.limits.max_turns", "--condition 5: max_turns"),
        ("winning_variation_id", "N"),
        ("reason", "--reason"),
    ],
)
def test_every_field_of_the_api_has_a_name_at_the_shell(field: str, name: str) -> None:
    error = ApiError(422, "invalid_request", "…", [FieldError(field=field, message="Use another.")])
    assert error_text(error) == f"{name}: Use another."
