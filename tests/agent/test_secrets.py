"""Secrets: out of every text, and a patch that holds one is withheld, not changed."""

import random

import pytest

from aideator.protocol import (
    ErrorCode,
    Secrets,
    StatusEvent,
    ToolCallEvent,
    ToolResultEvent,
)
from aideator_gateway.scripted_model.script import HttpError, Text, ToolUse
from tests.agent.conftest import Play
from tests.agent.sandbox import KEY, Sandbox
from tests.support.repositories import git


def create(path: str, text: str) -> ToolUse:
    given = {"command": "create", "path": path, "file_text": text}
    return ToolUse("str_replace_based_edit_tool", given)


@pytest.mark.parametrize("key", ["x", "any", "none", "ollama", "lm-studio", "sk-no-key-required"])
def test_a_placeholder_for_a_key_changes_nothing(sandbox: Sandbox, play: Play, key: str) -> None:
    chance = random.Random(0)  # noqa: S311  # No secret hangs on it.
    letters = "".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=20_000))
    content = f"{letters}\nmany words, none of them {key}\n"
    model = play([create("new.txt", content)], [Text(f"Any key: {key}.")])
    process = sandbox.start(model.base_url, environment={"ANTHROPIC_API_KEY": key})
    outcome = sandbox.finish(process)
    assert outcome.completed.summary == f"Any key: {key}."
    fresh = sandbox.fresh()
    git(fresh, "apply", "-", stdin=outcome.patch.content())
    assert (fresh / "new.txt").read_text() == content


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("new.txt", f"key = {KEY}\n"),
        # Git packs what it takes for binary.
        ("new.bin", f"\0{'filler ' * 100}{KEY}"),
        (f"{KEY}.txt", "key\n"),
    ],
)
def test_a_patch_that_holds_the_key_is_withheld(
    sandbox: Sandbox, play: Play, path: str, text: str
) -> None:
    model = play([create(path, text), create("other.txt", "x\n")], [Text("Done.")])
    outcome = sandbox.run(model.base_url)
    assert outcome.failed.code is ErrorCode.SECRET_IN_PATCH
    assert "withheld" in outcome.failed.message
    assert outcome.failed.turns == 2
    assert outcome.failed.total.tokens
    assert (outcome.patch.withheld, outcome.patch.diff) == (True, "")
    assert outcome.patch.files == 2
    assert not (outcome.output / "changes.patch").exists()
    # The rest is there, as it was said; _outcome has looked for the key in all of it.
    assert "***" in outcome.of(ToolCallEvent)[0].model_dump_json()
    assert not outcome.of(ToolResultEvent)[1].is_error


def test_another_ending_stays_and_the_withheld_patch_is_told(sandbox: Sandbox, play: Play) -> None:
    error = HttpError(401, "authentication_error", "invalid x-api-key")
    outcome = sandbox.run(play([create("new.txt", KEY)], [error]).base_url)
    assert outcome.failed.code is ErrorCode.AUTHENTICATION_FAILED
    assert outcome.patch.withheld
    told = [event.message for event in outcome.of(StatusEvent) if event.state == "notice"]
    assert told == ["The patch holds the API key. It is withheld; the rest of the attempt is kept."]


def test_the_key_is_out_of_events_that_are_cut(sandbox: Sandbox, play: Play) -> None:
    # Each of these characters takes six bytes in JSON.
    call = ToolUse("list_files", raw=KEY + "\x01" * 6_000_000, pieces=10)
    outcome = sandbox.run(play([call], [Text("Done.")]).base_url)
    (told,) = outcome.of(ToolCallEvent)
    assert told.input.startswith("***\x01")


@pytest.mark.parametrize(
    ("secrets", "text", "hidden"),
    [
        (["s3cretkey"], "my s3cretkey!", "my ***!"),
        (["s3cret7"], "my s3cret7!", "my s3cret7!"),
        (["not-needed"], "It is not-needed.", "It is not-needed."),
        (["correct-horse-battery"], "correct-horse-battery", "***"),
        (["s3cretkey", "s3cretkey-longer"], "s3cretkey-longer s3cretkey", "*** ***"),
        ([None, ""], "nothing", "nothing"),
    ],
)
def test_which_secrets_are_looked_for(secrets: list[str | None], text: str, hidden: str) -> None:
    assert Secrets(secrets).hidden_in(text) == hidden
    assert Secrets(secrets).are_in(text.encode()) is (text != hidden)
