"""The demo's stand-in: real tools on real repositories, and the agent program itself."""

import asyncio
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import anthropic
import pytest

from aideator.agent.git import Git
from aideator.agent.patch import Patcher
from aideator.agent.tools import ToolError, Tools
from aideator.agent.workspace import Workspace
from aideator.protocol import TextEvent, UsageEvent
from aideator_gateway.demo.standin import LABEL, MODEL, DemoPlayer
from aideator_gateway.scripted_model.server import ScriptedModel
from tests.agent.sandbox import Sandbox
from tests.support.repositories import FILES, git

PROMPT = "Greet in French, please."

COMPLETE = {
    "README.md": "# Full\n\n## Repository layout\n\nAll of it is told already.\n",
    "CONTRIBUTING.md": "# Contributing\n\n## Before you send a change\n\nThink.\n",
    "CHANGELOG.md": "# Changelog\n",
    ".gitattributes": "* text=auto\n",
    ".editorconfig": "root = true\n",
    ".gitignore": ".DS_Store\nThumbs.db\n*.swp\n",
    "LAYOUT.md": "# Layout\n",
    "OVERVIEW.md": "# Overview\n",
    ".github/pull_request_template.md": "Think.\n",
    "full.py": '"""Do nothing."""\n',
}

TREES: dict[str, Mapping[str, str | bytes]] = {
    "python": FILES,
    "one empty file": {".gitkeep": ""},
    "no python, no readme": {
        "go.mod": "module example.com/x\n",
        "main.go": "package main\n\nfunc main() {\n\tprintln(1)\n}\n",
        "run.sh": "#!/bin/sh\n",
        "logo.png": b"\x89PNG\r\n\x1a\n\0",
    },
    "windows line endings, no last one": {
        "README.rst": b"Title\r\n=====\r\n\r\nText without an end",
        "CONTRIBUTING.md": b"# How\r\n\r\nSo.",
        ".gitattributes": b"*.x binary\r\n",
        "app.py": b"import os\r\n\r\ndef run():\r\n    return os\r\n",
    },
    "nothing left to add": COMPLETE,
    "too many files to list": {f"d{n % 40}/f{n}.txt": "x\n" for n in range(900)},
    "too many at the top": {f"f{n}.txt": "x\n" for n in range(900)},
    "odd names and contents": {
        'a "b".py': "x = 1\n",
        "ü/ü.md": "ü\n",
        "latin.py": b"# caf\xe9\ndef run():\n    return '\xe9'\n",
        "README": b"\0\1\2",
        "Makefile": "build:\n\ttrue\n",
    },
}


Refuses = Callable[[str, Mapping[str, Any]], str | None]
"""Given a tool call, what it is refused with; ``None`` lets it through."""


def nothing(_name: str, _given: Mapping[str, Any]) -> None:
    return None


def converse(
    model: ScriptedModel,
    sandbox: Sandbox,
    variation: int | None,
    prompt: str = PROMPT,
    refuses: Refuses = nothing,
) -> list[str]:
    """Be the agent: do what the model asks for until it ends; return its texts."""
    return asyncio.run(converse_on_loop(model, sandbox, variation, prompt, refuses))


async def converse_on_loop(
    model: ScriptedModel, sandbox: Sandbox, variation: int | None, prompt: str, refuses: Refuses
) -> list[str]:
    workspace = Workspace(sandbox.workspace)
    scratch = sandbox.directory / "scratch"
    scratch.mkdir()
    git = Git(sandbox.git_dir, workspace.root, scratch)
    based = asyncio.create_task(Patcher(git, 2**20).start())
    tools = Tools(git, workspace, "plain", based)
    headers = {} if variation is None else {"x-aideator-variation": str(variation)}
    messages: list[Any] = [{"role": "user", "content": prompt}]
    texts = []
    async with anthropic.AsyncAnthropic(api_key="k", base_url=model.base_url) as client:
        for _ in range(12):
            message = await client.messages.create(
                model="m",
                max_tokens=99,
                messages=messages,
                tools=tools.definitions(),  # type: ignore[arg-type] # plain dicts will do
                extra_headers=headers,
            )
            assert message.model == MODEL
            texts += [block.text for block in message.content if block.type == "text"]
            if message.stop_reason == "end_turn":
                await based  # The stand-in may end without a tool that waits for it.
                return texts
            results = [
                {"type": "tool_result", "tool_use_id": block.id}
                | await run_tool(tools, block, refuses)
                for block in message.content
                if block.type == "tool_use"
            ]
            messages += [
                {"role": "assistant", "content": message.content},
                {"role": "user", "content": results},
            ]
    raise AssertionError(f"no end in sight: {texts}")


async def run_tool(
    tools: Tools, block: anthropic.types.ToolUseBlock, refuses: Refuses
) -> dict[str, Any]:
    if refusal := refuses(block.name, block.input):
        return {"content": refusal, "is_error": True}
    try:
        return {"content": await tools.run(block.name, block.input)}
    except ToolError as error:
        return {"content": str(error), "is_error": True}


def changes(sandbox: Sandbox) -> tuple[list[str], str]:
    """Return the changed files, with Git's letter for each, and the whole diff."""
    where = (f"--git-dir={sandbox.git_dir}", f"--work-tree={sandbox.workspace}")
    git(sandbox.workspace, *where, "add", "--all")
    names = git(sandbox.workspace, *where, "diff", "--cached", "--name-status", "HEAD")
    diff = git(sandbox.workspace, *where, "diff", "--cached", "--binary", "HEAD")
    return names.splitlines(), diff


@pytest.fixture(scope="module")
def model() -> Iterator[ScriptedModel]:
    with ScriptedModel(DemoPlayer(tokens_per_second=0)) as model:
        yield model


@pytest.mark.parametrize("name", TREES)
def test_each_variation_makes_one_small_edit_of_its_own(
    model: ScriptedModel, tmp_path: Path, name: str
) -> None:
    diffs = set()
    for variation in range(1, 6):
        sandbox = Sandbox(tmp_path / str(variation), TREES[name])
        texts = converse(model, sandbox, variation)
        changed, diff = changes(sandbox)
        assert len(changed) == 1, texts
        # New, or added to: at most a last line that had no end is shown as replaced.
        removed = [line for line in diff.splitlines() if re.match("-(?!--)", line)]
        assert len(removed) <= ("No newline" in diff)
        if changed[0].startswith("A\t"):
            assert changed[0].split("\t")[1] not in TREES[name]
        diffs.add(diff)
        assert texts[0].startswith(LABEL)
        assert texts[-1].startswith(LABEL)
        assert PROMPT in texts[0]
        assert 4 <= len(texts) <= 6
    assert len(diffs) == 5


def test_the_edits_rest_on_what_was_read(model: ScriptedModel, tmp_path: Path) -> None:
    files = {
        **FILES,
        "Makefile": "test: setup\n\tpytest\n",
        "tests/test_greet.py": "def test_says_hello():\n    assert True\n",
        "tool.sh": "#!/bin/sh\nexit 0\n",
    }
    diffs = {}
    for variation in range(1, 6):
        sandbox = Sandbox(tmp_path / str(variation), files)
        converse(model, sandbox, variation)
        diffs[variation] = changes(sandbox)[1]
    assert "+- `docs/`: 1 file" in diffs[1]
    assert '+"""Tests: says hello."""' in diffs[2]
    assert "make test" in diffs[3]
    assert "+*.sh text eol=lf" in diffs[4]
    assert "+indent_size = 4" in diffs[5]


def test_without_a_variation_conversations_are_told_apart_by_their_prompt(
    model: ScriptedModel, tmp_path: Path
) -> None:
    made = set()
    for number in range(12):
        sandbox = Sandbox(tmp_path / str(number), FILES)
        converse(model, sandbox, None, f"Prompt {number}")
        made.add(changes(sandbox)[1])
    assert len(made) > 1


@pytest.mark.parametrize("blind", [False, True])
@pytest.mark.parametrize("variation", range(1, 6))
def test_it_ends_honestly_where_the_tools_refuse(
    model: ScriptedModel, tmp_path: Path, variation: int, blind: bool
) -> None:
    def refuses(name: str, given: Mapping[str, Any]) -> str | None:
        looks = name == "list_files" or given["command"] == "view"
        return None if looks and not blind else "The disk is on fire."

    sandbox = Sandbox(tmp_path / "sandbox", FILES)
    texts = converse(model, sandbox, variation, refuses=refuses)
    assert "The disk is on fire." in texts[-1]
    assert "leave the repository as it is" in texts[-1]
    assert changes(sandbox)[0] == []


def test_an_edit_that_is_refused_is_followed_by_another(
    model: ScriptedModel, tmp_path: Path
) -> None:
    def refuses(_name: str, given: Mapping[str, Any]) -> str | None:
        return "Inserting is out today." if given.get("command") == "insert" else None

    sandbox = Sandbox(tmp_path / "sandbox", FILES)
    texts = converse(model, sandbox, 1, refuses=refuses)
    assert any("Inserting is out today." in text for text in texts)
    assert changes(sandbox)[0] == ["A\tLAYOUT.md"]


def test_a_long_prompt_is_named_by_its_start(model: ScriptedModel, tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path / "sandbox", FILES)
    texts = converse(model, sandbox, 1, "問" * 500)
    assert f"“{'問' * 120}…”" in texts[0]


def test_a_moving_cache_mark_does_not_change_who_it_is(model: ScriptedModel) -> None:
    def first_text(block: dict[str, Any]) -> str:
        messages: list[Any] = [{"role": "user", "content": [block]}]
        with anthropic.Anthropic(api_key="k", base_url=model.base_url) as client:
            message = client.messages.create(
                model="m",
                max_tokens=9,
                messages=messages,
                tools=[
                    {"name": name, "input_schema": {"type": "object"}}
                    for name in ("list_files", "str_replace_based_edit_tool")
                ],
            )
        assert message.content[0].type == "text"
        return message.content[0].text

    for number in range(5):
        block = {"type": "text", "text": f"Prompt {number}"}
        marked = {**block, "cache_control": {"type": "ephemeral"}}
        assert first_text(block) == first_text(marked)


def test_without_the_tools_it_says_what_it_needs(model: ScriptedModel) -> None:
    with anthropic.Anthropic(api_key="k", base_url=model.base_url) as client:
        message = client.messages.create(
            model="m", max_tokens=9, messages=[{"role": "user", "content": "Hello"}]
        )
    (block,) = message.content
    assert block.type == "text"
    assert block.text.startswith(LABEL)
    assert "list_files" in block.text
    assert message.stop_reason == "end_turn"


def test_a_negative_speed_is_refused() -> None:
    with pytest.raises(ValueError, match="tokens_per_second"):
        DemoPlayer(tokens_per_second=-1)


def test_the_patches_of_five_agents_apply(model: ScriptedModel, tmp_path: Path) -> None:
    sandboxes = [Sandbox(tmp_path / str(n), FILES) for n in range(1, 6)]
    outcomes = [
        sandbox.run(
            model.base_url, prompt=PROMPT, environment={"AIDEATOR_VARIATION_ID": str(number)}
        )
        for number, sandbox in enumerate(sandboxes, start=1)
    ]
    patches = set()
    for sandbox, outcome in zip(sandboxes, outcomes, strict=True):
        assert outcome.completed.stop_reason == "end_turn"
        texts = [event.text for event in outcome.of(TextEvent)]
        assert "".join(texts).startswith(f"{LABEL} The prompt was: “{PROMPT}”")
        assert len(texts) > 50
        # A stand-in's work has no price, and must not be shown one.
        assert outcome.completed.total.cost_usd is None
        assert outcome.completed.total.tokens > 0
        assert all(event.usage.cost_usd is None for event in outcome.of(UsageEvent))
        patch = outcome.patch.content()
        git(sandbox.fresh(), "apply", "--index", "-", stdin=patch)
        patches.add(patch)
        json.loads((sandbox.output / "result.json").read_text())
    assert len(patches) == 5
