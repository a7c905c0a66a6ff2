"""What a conversation with an agent has brought to light so far."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aideator_gateway.scripted_model.player import Request

EDITOR = "str_replace_based_edit_tool"

_NUMBERED = re.compile(r"\s*(\d+)\t(.*)")
# Names that need no quoting anywhere; files with others are left alone.
_PLAIN_NAME = re.compile(r"[\w.@+-][\w.@+/-]*")
# What the agent puts before the words of the person who started the run.
_PREFACE = re.compile(r"The repository is at \S+\.\n\n")
_FOLDED = re.compile(r"(.+/) \((\d+) files\)")


@dataclass(frozen=True)
class Call:
    """A tool call and what the tool answered."""

    name: str
    input: Mapping[str, Any]
    answer: str
    is_error: bool

    @property
    def edits(self) -> bool:
        """Whether it was meant to change a file."""
        return self.name == EDITOR and self.input.get("command") != "view"


@dataclass(frozen=True)
class Seen:
    """The repository, as far as tools have shown it.

    Attributes
    ----------
    files
        Paths of files, relative to the repository.
    folded
        Directories, each with a slash at its end, of which only the number of files is known.
    complete
        Whether the list left nothing out, apart from what is folded.
    views
        Lines of the files that were read, by path.
    cut
        Paths of those of which only a part was shown.
    """

    files: tuple[str, ...] = ()
    folded: Mapping[str, int] = field(default_factory=dict)
    complete: bool = False
    views: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    cut: frozenset[str] = frozenset()

    @property
    def top(self) -> list[str]:
        """Names of the top-level entries; those of directories end in ``/``."""
        parts = (name.partition("/") for name in (*self.files, *self.folded))
        return sorted({head + slash for head, slash, _ in parts})

    @property
    def count(self) -> int:
        """Number of files that the list stands for."""
        return len(self.files) + sum(self.folded.values())

    def may_have(self, path: str) -> bool:
        """Whether there may be such a file, in any spelling of upper and lower case."""
        return (
            not self.complete
            or path.lower() in {file.lower() for file in self.files}
            or path.lower().startswith(tuple(name.lower() for name in self.folded))
        )

    def named(self, *names: str) -> list[str]:
        """Return the top-level files of these names, in the order of the names."""
        spelt = {file.lower(): file for file in self.files}
        return [spelt[name.lower()] for name in names if name.lower() in spelt]

    def ending(self, suffix: str) -> list[str]:
        """Return the files of this suffix."""
        return [file for file in self.files if file.endswith(suffix)]


class Conversation:
    """Reads a request's messages; holds nothing that is not in them."""

    def __init__(self, request: Request) -> None:
        self.prompt = _prompt(request)
        self.tools = frozenset(str(tool.get("name")) for tool in request.body.get("tools") or ())
        self.calls = _calls(request)

    @property
    def edits(self) -> list[Call]:
        """The calls that were meant to change a file."""
        return [call for call in self.calls if call.edits]

    @property
    def before_edits(self) -> list[Call]:
        """The calls before the first of them: the exploration."""
        first = next((i for i, call in enumerate(self.calls) if call.edits), len(self.calls))
        return self.calls[:first]

    def seen(self) -> Seen:
        """Return what the exploration has shown."""
        files: dict[str, None] = {}
        folded: dict[str, int] = {}
        complete = False
        views: dict[str, tuple[str, ...]] = {}
        cut = set()
        for call in self.before_edits:
            if call.is_error:
                continue
            if call.name == "list_files":
                complete = "\n[cut:" not in call.answer
                for line in call.answer.split("\n"):
                    if match := _FOLDED.fullmatch(line):
                        folded[match[1]] = int(match[2])
                    elif _PLAIN_NAME.fullmatch(line):
                        files[line] = None
            elif call.name == EDITOR:
                path = str(call.input.get("path"))
                views[path] = numbered(call.answer)
                if not _NUMBERED.fullmatch(call.answer.split("\n")[-1]):
                    cut.add(path)
        return Seen(tuple(files), folded, complete, views, frozenset(cut))


def numbered(view: str) -> tuple[str, ...]:
    """Return the lines of a file from a view of it that numbers them."""
    matches = (_NUMBERED.fullmatch(line) for line in view.split("\n"))
    return tuple(match[2] for match in matches if match)


def _prompt(request: Request) -> str:
    """Return the first words that a user said."""
    for message in request.messages:
        if message.get("role") == "user":
            return _PREFACE.sub("", _text(message.get("content")), count=1)
    return ""


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    blocks = content if isinstance(content, list) else []
    return "\n".join(str(block["text"]) for block in blocks if block.get("type") == "text")


def _calls(request: Request) -> list[Call]:
    wanted: dict[str, Mapping[str, Any]] = {}
    calls = []
    for message in request.messages:
        content = message.get("content")
        for block in content if isinstance(content, list) else ():
            if block.get("type") == "tool_use":
                wanted[block["id"]] = block
            elif block.get("type") == "tool_result" and block.get("tool_use_id") in wanted:
                call = wanted[block["tool_use_id"]]
                answer = _text(block.get("content"))
                failed = bool(block.get("is_error"))
                calls.append(Call(call["name"], call["input"], answer, failed))
    return calls
