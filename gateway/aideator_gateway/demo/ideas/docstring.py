"""A first sentence for a Python module."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath

from aideator_gateway.demo.edits import Edit, create, put_before
from aideator_gateway.scripted_model.conversation import Seen

_DEFINES = re.compile(r"(?:async def|def|class) ([A-Za-z]\w*)")
_LONGEST = 88


class Docstring:
    """Gives a Python module that has no docstring one; elsewhere, an overview of files."""

    aim = "I will look for a module that does not say what it holds."

    def look(self, seen: Seen) -> list[str]:
        """Return some Python files, those first that tend to have no docstring."""
        modules = [file for file in seen.ending(".py") if not file.endswith("__init__.py")]
        modules.sort(key=lambda file: ("test" not in file, file.count("/"), file))
        return modules[:3] or list(seen.files[-1:])

    def edits(self, seen: Seen) -> Iterator[Edit]:
        """Return a docstring for one of the modules read, else a new overview."""
        modules = [path for path in seen.views if path.endswith(".py")]
        for path in modules:
            start = _start(seen.views[path])
            sentence = _sentence(seen.views[path])
            if start is None or sentence is None:
                continue
            if change := put_before(seen, path, start, [f'"""{sentence}"""', ""]):
                yield Edit(
                    change,
                    f"{path} starts with code and does not say what it holds. "
                    "A docstring made from the names it defines cannot break it.",
                    f"{path} has a docstring now.",
                )
        kinds = Counter(PurePosixPath(file).suffix or "no suffix" for file in seen.files)
        parts = kinds.most_common(12) + [(f"`{name}`", n) for name, n in seen.folded.items()][:12]
        rows = [f"| {part} | {count} |" for part, count in parts]
        head = ["# Overview", "", "What the repository is made of.", ""]
        table = ["| Part | Files |", "| --- | --- |", *(rows or ["| none yet | 0 |"])]
        yield Edit(
            create("OVERVIEW.md", [*head, *table]),
            ("Each module that I read says what it holds. " if modules else "There is no Python. ")
            + "So I leave an overview of the kinds of files instead.",
            "OVERVIEW.md is new and has the kinds of files with their numbers.",
        )


def _start(lines: tuple[str, ...]) -> int | None:
    """Return the number of the first line of code; ``None`` if that is a docstring."""
    for number, line in enumerate(lines, start=1):
        if line.strip() and not line.startswith("#"):
            return None if line.lstrip("rRuU").startswith(('"', "'")) else number
    return None


def _sentence(lines: tuple[str, ...]) -> str | None:
    names = [match[1] for line in lines if (match := _DEFINES.match(line))]
    tests = [name for name in names if name.startswith("test_")]
    if tests:
        verb, items = "Tests:", [name.removeprefix("test_").replace("_", " ") for name in tests]
    else:
        verb, items = "Define", [f"``{name}``" for name in names]
    if not items:
        return None
    shown: list[str] = []
    for item in items:
        if len(f"{verb} {', '.join([*shown, item])}") > _LONGEST - 20 and shown:
            break
        shown.append(item)
    rest = len(items) - len(shown)
    return f"{verb} {', '.join(shown)}" + (f" and {rest} more." if rest else ".")
