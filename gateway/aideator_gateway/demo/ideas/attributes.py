"""Line endings that are the same everywhere."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from aideator_gateway.demo.edits import Edit, append, counted, create, join
from aideator_gateway.scripted_model.conversation import Seen

_FILE = ".gitattributes"

_RULES = {
    ".sh": "text eol=lf",
    ".bat": "text eol=crlf",
    ".cmd": "text eol=crlf",
    ".png": "binary",
    ".jpg": "binary",
    ".gif": "binary",
    ".ico": "binary",
    ".pdf": "binary",
    ".zip": "binary",
    ".gz": "binary",
    ".woff2": "binary",
}


class Attributes:
    """Tells Git which files are text."""

    aim = "I will tell Git which files are text, for equal line endings."

    def look(self, seen: Seen) -> list[str]:
        """Return the file itself, else what is kept out of Git, else any file."""
        return seen.named(_FILE, ".gitignore")[:1] or list(seen.files[:1])

    def edits(self, seen: Seen) -> Iterator[Edit]:
        """Return a new file, else the rules that it lacks, else a change log."""
        suffixes = sorted({PurePosixPath(file).suffix for file in seen.files} & _RULES.keys())
        rules = ["* text=auto", *(f"*{suffix} {_RULES[suffix]}" for suffix in suffixes)]
        special = (
            f"Of the kinds that need a rule of their own there are {join(suffixes)}."
            if suffixes
            else "No kind of file here needs a rule of its own."
        )
        if not seen.named(_FILE):
            yield Edit(
                create(_FILE, rules),
                f"There is no {_FILE}. {special} So this takes {counted(len(rules), 'line')}.",
                f"{_FILE} is new; Git keeps line endings the same from here on.",
            )
        else:
            ruled = {line.split()[0] for line in seen.views.get(_FILE, ()) if line.split()}
            missing = [rule for rule in rules if rule.split()[0] not in ruled]
            if missing and (change := append(seen, _FILE, missing)):
                yield Edit(
                    change,
                    f"{_FILE} is there and lacks {counted(len(missing), 'rule')} that would fit.",
                    f"{_FILE} has the missing rules now.",
                )
        if not seen.named("CHANGELOG.md", "CHANGELOG", "CHANGES.md", "HISTORY.md", "NEWS.md"):
            yield Edit(
                create("CHANGELOG.md", ["# Changelog", "", "## Unreleased", "", "- This file."]),
                f"{_FILE} is complete. What is missing is a place to write changes down.",
                "CHANGELOG.md is new and has a section for what comes next.",
            )
