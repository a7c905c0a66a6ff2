"""Indentation that editors agree on."""

from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath

from aideator_gateway.demo.edits import Edit, append, create
from aideator_gateway.scripted_model.conversation import Seen

_FILE = ".editorconfig"
_IGNORED = (".DS_Store", "Thumbs.db", "*.swp")
_CODE = (".py", ".js", ".ts", ".go", ".rs", ".java", ".c", ".h", ".cpp", ".rb", ".sh", ".css")


class EditorConfig:
    """Tells editors how the files are indented, as measured in some of them."""

    aim = "I will measure how code is indented, and tell editors."

    def look(self, seen: Seen) -> list[str]:
        """Return what is measured: files of the most frequent kinds of code."""
        kinds = Counter(PurePosixPath(file).suffix for file in seen.files)
        common = sorted(set(_CODE) & kinds.keys(), key=lambda kind: -kinds[kind])[:2]
        middle = [files[len(files) // 2] for kind in common if (files := seen.ending(kind))]
        return [*seen.named(".gitignore"), *(middle or seen.files[:1])][:3]

    def edits(self, seen: Seen) -> Iterator[Edit]:
        """Return a new file, else lines that ``.gitignore`` lacks, or a first one of those."""
        if not seen.named(_FILE):
            measured = {
                PurePosixPath(path).suffix: indent
                for path, lines in seen.views.items()
                if path.endswith(_CODE) and (indent := _indent(lines))
            }
            lines = ["root = true", "", "[*]", "charset = utf-8", "insert_final_newline = true"]
            for suffix, indent in measured.items():
                lines += ["", f"[*{suffix}]", *indent]
            yield Edit(
                create(_FILE, lines),
                f"There is no {_FILE}. "
                + (
                    f"I measured {', '.join(measured)} and write down what is done already, "
                    "so no file has to change."
                    if measured
                    else "I read no indented code, so I write down only what fits every file."
                ),
                f"{_FILE} is new and says how the files are indented.",
            )
        missing = [line for line in _IGNORED if line not in seen.views.get(".gitignore", ())]
        why = f"{_FILE} is settled. What editors and desktops leave behind is not kept out yet."
        done = ".gitignore keeps out what editors and desktops leave behind."
        if not seen.named(".gitignore"):
            yield Edit(create(".gitignore", _IGNORED), why, done)
        elif missing and (change := append(seen, ".gitignore", missing)):
            yield Edit(change, why, done)


def _indent(lines: tuple[str, ...]) -> list[str]:
    """Return the settings for the indentation seen most, if any is."""
    tabs = sum(line.startswith("\t") for line in lines)
    widths = [len(line) - len(line.lstrip(" ")) for line in lines if line.startswith("  ")]
    if tabs > len(widths):
        return ["indent_style = tab"]
    if not widths:
        return []
    size = 4 if sum(width % 4 == 0 for width in widths) > len(widths) * 0.8 else 2
    return ["indent_style = space", f"indent_size = {size}"]
