"""The tool that shows which files there are."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from aideator.agent.git import Git
from aideator.agent.tools.base import MAX_RESULT_CHARS, prompt, text_of
from aideator.agent.tools.files import files_below
from aideator.agent.workspace import Workspace

_MAX_ENTRIES = 400


class ListFiles:
    """Lists files, or directories with their number of files where there are too many."""

    name = "list_files"

    def __init__(self, git: Git, workspace: Workspace) -> None:
        self._git = git
        self._workspace = workspace

    def definition(self) -> dict[str, Any]:
        """Return the tool as the Messages API describes it."""
        return {
            "name": self.name,
            "description": prompt(self.name),
            "input_schema": {
                "type": "object",
                "properties": {
                    "path": {
                        "type": "string",
                        "description": "Directory to list. Default: the whole repository.",
                    },
                    "pattern": {
                        "type": "string",
                        "description": "Glob, such as *.py or src/**/test_*.py.",
                    },
                },
                "additionalProperties": False,
            },
        }

    async def run(self, given: Mapping[str, Any]) -> str:
        """Return one path a line, and a line that says what was left out."""
        path = text_of(given, "path", ".")
        files = await files_below(self._git, self._workspace, path, text_of(given, "pattern", ""))
        if not files:
            return "No files match."
        files = [f"{f}/ (submodule)" if f in self._workspace.submodules else f for f in files]
        entries = files if len(files) <= _MAX_ENTRIES else _folded(files)
        shown = "\n".join(entry.encode("utf-8", "replace").decode() for entry in entries)
        note = ""
        if len(shown) > MAX_RESULT_CHARS or len(entries) > _MAX_ENTRIES:
            lines = shown[:MAX_RESULT_CHARS].split("\n")[:_MAX_ENTRIES]
            note = f"\n[cut: {len(entries) - len(lines)} of {len(entries)} entries are not shown."
            shown = "\n".join(lines)
        elif entries is not files:
            note = f"\n[{len(files)} files: directories stand for what is in them."
        return f"{shown}{note} Narrow it with path or pattern.]" if note else shown


def _folded(files: Sequence[str]) -> Sequence[str]:
    """Replace deep files by their directories until few enough entries are left."""
    best: list[str] = []
    shared = os.path.commonpath(files).count("/") + 1 if os.path.commonpath(files) else 0
    for depth in range(shared + 1, shared + 20):
        groups: dict[str, list[str]] = {}
        for name in files:
            parts = name.split("/")
            groups.setdefault("/".join(parts[:depth]), []).append(name)
        if best and len(groups) > _MAX_ENTRIES:
            break
        best = [
            # A single file says more than its directory.
            inside[0] if len(inside) == 1 else f"{directory}/ ({len(inside)} files)"
            for directory, inside in groups.items()
        ]
    return best
