"""The new option prints JSON, what was there before is as it was, and the README says it."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

tree = Path(sys.argv[1])


def wordcount(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "wordcount", *words],
        cwd=tree, capture_output=True, text=True, check=False,
    )  # fmt: skip


with tempfile.TemporaryDirectory() as directory:
    file = str(Path(directory) / 'odd "name".txt')
    Path(file).write_text("one two\nthr\u00e9e\n", encoding="utf-8")
    done = wordcount("--json", file)
    expected = {"file": file, "lines": 2, "words": 3, "characters": 14}
    assert done.returncode == 0, done
    assert json.loads(done.stdout) == expected, done
    assert json.loads(wordcount(file, "--json").stdout) == expected
    assert wordcount(file).stdout == f"2 3 14 {file}\n"
    assert wordcount("--words", file).stdout == "3\n"
    both = wordcount("--json", "--words", file)
    assert (both.returncode, both.stdout) == (2, ""), both
    missing = wordcount("--json", str(Path(directory) / "missing"))
    assert (missing.returncode, missing.stdout) == (1, ""), missing
assert "--json" in (tree / "README.md").read_text(encoding="utf-8"), "it is not documented"
