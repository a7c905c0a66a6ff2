"""The tool that finds text in files."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aideator.agent.git import Git, killed_at_exit
from aideator.agent.tools.base import ToolError, flag_of, prompt, text_of
from aideator.agent.tools.files import files_below
from aideator.agent.workspace import Workspace

_WORKER = Path(__file__).with_name("search_worker.py")
_MAX_MATCHES = 100
_MAX_PATTERN_CHARS = 2_000
_MAX_FILE_BYTES = 4 * 1024 * 1024


class SearchText:
    """Finds the lines that match a regular expression or hold a literal.

    Parameters
    ----------
    seconds
        Longest time that one search may take.
    """

    name = "search_text"

    def __init__(self, git: Git, workspace: Workspace, seconds: float = 10.0) -> None:
        self._git = git
        self._workspace = workspace
        self._seconds = seconds

    def definition(self) -> dict[str, Any]:
        """Return the tool as the Messages API describes it."""
        return {
            "name": self.name,
            "description": prompt(self.name),
            "input_schema": {
                "type": "object",
                "properties": {
                    "pattern": {"type": "string", "description": "What to look for in a line."},
                    "path": {
                        "type": "string",
                        "description": "File or directory to search. Default: everything.",
                    },
                    "files": {
                        "type": "string",
                        "description": "Glob of the files to search, such as *.py.",
                    },
                    "literal": {
                        "type": "boolean",
                        "description": "Take the pattern to the letter. Default: false.",
                    },
                    "ignore_case": {"type": "boolean", "description": "Default: false."},
                },
                "required": ["pattern"],
                "additionalProperties": False,
            },
        }

    async def run(self, given: Mapping[str, Any]) -> str:
        """Return ``path:line: text`` for each match, and what was not searched or shown."""
        pattern = text_of(given, "pattern")
        if not pattern:
            raise ToolError("The pattern is empty. Say what to look for.")
        if len(pattern) > _MAX_PATTERN_CHARS:
            raise ToolError(f"The pattern is longer than {_MAX_PATTERN_CHARS} characters.")
        if flag_of(given, "literal"):
            pattern = re.escape(pattern)
        try:
            re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            raise ToolError(
                f"The pattern is no valid regular expression: {error}."
                " Correct it, or set literal to true."
            ) from error
        path = text_of(given, "path", ".")
        glob = text_of(given, "files", "")
        job = {
            "root": str(self._workspace.root),
            "pattern": pattern,
            "ignore_case": flag_of(given, "ignore_case"),
            "files": await files_below(self._git, self._workspace, path, glob),
            "max_matches": _MAX_MATCHES,
            "max_file_bytes": _MAX_FILE_BYTES,
        }
        answers, stopped = await _work(job, self._seconds)
        if stopped:
            return _report(answers, f"stopped after {self._seconds:g} s")
        return _report(answers)


async def _work(job: dict[str, Any], seconds: float) -> tuple[list[dict[str, Any]], bool]:
    """Return what the worker said, and whether it was stopped for taking too long."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", str(_WORKER)),
        env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin and process.stdout  # noqa: S101  # Both are pipes.
    answers: list[dict[str, Any]] = []
    async with killed_at_exit(process):
        try:
            async with asyncio.timeout(seconds):
                process.stdin.write(json.dumps(job).encode())
                process.stdin.write_eof()
                async for line in process.stdout:
                    answers.append(json.loads(line))  # noqa: PERF401  # Kept when time runs out.
        except TimeoutError:
            return answers, True
    return answers, False


def _report(answers: list[dict[str, Any]], stopped: str = "") -> str:
    matches = [answer for answer in answers if "file" in answer]
    lines = [f"{match['file']}:{match['line']}: {match['text']}" for match in matches]
    if stopped:
        lines.append(
            f"[{stopped} with {len(matches)} matches so far."
            " Use a simpler pattern, or narrow it with path or files.]"
        )
    elif not answers or "searched" not in answers[-1]:
        raise ToolError("The search ended early. Narrow it with path or files.")
    else:
        summary = answers[-1]
        if summary["more"]:
            lines.append(
                f"[cut after {_MAX_MATCHES} matches. Narrow the pattern, or use path or files.]"
            )
        elif not matches:
            lines.append(f"No line matches in {summary['searched']} files.")
        if summary["skipped"]:
            lines.append(f"[{summary['skipped']} binary, large or special files not searched.]")
    return "\n".join(lines).encode("utf-8", "replace").decode()
