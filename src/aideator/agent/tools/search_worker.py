"""Search files in a process of its own, because a regular expression can run for ever.

Started by path as a plain script, with nothing but the standard library. It reads one JSON
object from stdin and writes one JSON object a line: matches, then a summary.
"""

import json
import os
import re
import stat
import sys
from typing import Any

_MAX_LINE_CHARS = 300


def search(job: dict[str, Any]) -> None:
    """Search ``job["files"]`` below ``job["root"]`` and print what is found."""
    expression = re.compile(job["pattern"], re.IGNORECASE if job["ignore_case"] else 0)
    left = job["max_matches"]
    skipped = searched = 0
    directories: dict[str, bool] = {}
    for name in job["files"]:
        content = _content(job["root"], name, job["max_file_bytes"], directories)
        if content is None:
            skipped += 1
            continue
        searched += 1
        for number, line in enumerate(content.split("\n"), 1):
            found = expression.search(line)
            if not found:
                continue
            if left == 0:
                _say({"searched": searched, "skipped": skipped, "more": True})
                return
            left -= 1
            _say({"file": name, "line": number, "text": _cut(line.rstrip("\r"), found.start())})
    _say({"searched": searched, "skipped": skipped, "more": False})


def _content(root: str, name: str, limit: int, directories: dict[str, bool]) -> str | None:
    path = os.path.join(root, name)  # noqa: PTH118  # Names that are no UTF-8 stay as they are.
    parent = os.path.dirname(path)  # noqa: PTH120  # Likewise.
    if parent not in directories:
        # A directory that git knew may since have become a link out of the tree.
        real = os.path.realpath(parent)
        directories[parent] = real == root or real.startswith(root + os.sep)
    if not directories[parent]:
        return None
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return None
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            info = os.fstat(descriptor)
            if not stat.S_ISREG(info.st_mode) or info.st_size > limit:
                return None
            data = file.read(limit)
    except OSError:
        return None
    return None if b"\0" in data else data.decode("utf-8", "replace")


def _cut(line: str, start: int) -> str:
    if len(line) <= _MAX_LINE_CHARS:
        return line
    first = max(0, min(start - _MAX_LINE_CHARS // 3, len(line) - _MAX_LINE_CHARS))
    piece = line[first : first + _MAX_LINE_CHARS]
    return f"{'…' if first else ''}{piece}{'…' if first + _MAX_LINE_CHARS < len(line) else ''}"


def _say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)  # noqa: T201  # Its stdout is its answer.


if __name__ == "__main__":
    search(json.load(sys.stdin))
