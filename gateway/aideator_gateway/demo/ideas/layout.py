"""A map of the repository."""

from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath

from aideator_gateway.demo.edits import Edit, append, counted, create
from aideator_gateway.scripted_model.conversation import Seen

_HEADING = "Repository layout"
_MOST = 20


class Layout:
    """Tells in the README what the top-level entries are."""

    aim = "I will say in the README what lies where."

    def look(self, seen: Seen) -> list[str]:
        """Return the README, else the first file there is."""
        return _readme(seen) or list(seen.files[:1])

    def edits(self, seen: Seen) -> Iterator[Edit]:
        """Return a section of the README, else a new README or a file of its own."""
        entries = _entries(seen)
        for path in _readme(seen):
            lines = seen.views.get(path, ())
            if any(_HEADING.lower() in line.lower() for line in lines):
                continue
            section = ["", *_heading(path), "", *entries]
            if change := append(seen, path, section):
                yield Edit(
                    change,
                    f"{path} ({counted(len(lines), 'line')}) does not say what lies where. "
                    "I add a short section with the entries that I saw.",
                    f"{path} now ends with a map of the top level.",
                )
        if not _readme(seen):
            text = ["# About this repository", "", f"## {_HEADING}", "", *entries]
            yield Edit(
                create("README.md", text),
                "There is no README, so I start one. It holds only what the list showed.",
                "README.md is new and lists what is where.",
            )
        yield Edit(
            create("LAYOUT.md", [f"# {_HEADING}", "", *entries]),
            "The README is no place for it here. A small file of its own will do.",
            "LAYOUT.md is new and lists what is where.",
        )


def _readme(seen: Seen) -> list[str]:
    return seen.named("README.md", "README.markdown", "README.rst", "README.txt", "README")[:1]


def _heading(path: str) -> list[str]:
    if path.lower().endswith(("md", "markdown")):
        return [f"## {_HEADING}"]
    return [_HEADING, "-" * len(_HEADING)]


def _entries(seen: Seen) -> list[str]:
    entries = [f"- `{name}`{_about(seen, name)}" for name in seen.top[:_MOST]]
    if len(seen.top) > _MOST:
        entries.append(f"- and {len(seen.top) - _MOST} more")
    return entries or ["- nothing yet"]


def _about(seen: Seen, name: str) -> str:
    if not name.endswith("/"):
        return ""
    kinds = Counter(PurePosixPath(file).suffix for file in seen.files if file.startswith(name))
    folded = sum(count for path, count in seen.folded.items() if path.startswith(name))
    count = kinds.total() + folded
    files = counted(count, "file")
    if folded or count == 1:
        return f": {files}"
    kind, _ = kinds.most_common(1)[0]
    return f": {files}, mostly `{kind}`" if kind else f": {files}"
