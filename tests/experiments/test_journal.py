"""The journal: whole lines, whatever happened to who wrote them, and one writer at a time."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from aideator_gateway.experiments.entries import Dropped, Started
from aideator_gateway.experiments.journal import Journal, JournalError, read_journal

ENTRIES: list[Started | Dropped] = [
    Started(key="a", run_id="run_1"),
    Dropped(key="b", why="Umlaut: ü"),
    Started(key="c", run_id="run_2"),
]


def write(path: Path, *entries: Started | Dropped) -> None:
    with Journal.opened(path) as journal:
        for entry in entries:
            journal.append(entry)


def test_what_was_written_is_read_in_order(tmp_path: Path) -> None:
    path = tmp_path / "experiments" / "x.jsonl"
    assert read_journal(path) == []
    write(path, *ENTRIES[:2])
    write(path, ENTRIES[2])
    assert read_journal(path) == ENTRIES
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_half_a_line_is_no_line_wherever_it_was_cut(tmp_path: Path) -> None:
    path = tmp_path / "experiments" / "x.jsonl"
    write(path, *ENTRIES)
    whole = path.read_bytes()
    ends = [n + 1 for n, byte in enumerate(whole) if byte == ord("\n")]
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        lines = sum(end <= cut for end in ends)
        assert read_journal(path) == ENTRIES[:lines]
        if cut % 7 == 0:
            write(path, ENTRIES[0])
            assert read_journal(path) == [*ENTRIES[:lines], ENTRIES[0]]


def test_a_line_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(ENTRIES[0].model_dump_json() + '\n{"entry": "other"}\n')
    with pytest.raises(JournalError, match=r"Line 2 of .*x\.jsonl cannot be read"):
        read_journal(path)


def test_only_one_process_carries_an_experiment_out(tmp_path: Path) -> None:
    path = tmp_path / "experiments" / "x.jsonl"
    with Journal.opened(path):
        with pytest.raises(JournalError, match="Another command"):
            write(path, ENTRIES[0])
        assert read_journal(path) == []
    write(path, ENTRIES[0])
    assert read_journal(path) == ENTRIES[:1]


def test_where_it_cannot_be_written_nothing_more_is(tmp_path: Path) -> None:
    path = tmp_path / "experiments" / "x.jsonl"
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from aideator_gateway.experiments.entries import Dropped, Started\n"
        "from aideator_gateway.experiments.journal import Journal, JournalError\n"
        "with Journal.opened(Path(sys.argv[1])) as journal:\n"
        "    journal.append(Started(key='a', run_id='r'))\n"
        "    for _ in range(2):\n"
        "        try:\n"
        "            journal.append(Dropped(key='b', why='x' * 10_000))\n"
        "        except JournalError as error:\n"
        "            print(error)\n"
    )

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    done = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, text=True, check=True,
        preexec_fn=limited, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    said = done.stdout.splitlines()
    assert len(said) == 2
    assert "File too large" in said[0] and "Nothing of the experiment is lost" in said[0]
    (first,) = read_journal(path)
    assert isinstance(first, Started) and first.key == "a"
    write(path, ENTRIES[1])
    assert read_journal(path) == [first, ENTRIES[1]]


def test_a_place_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "experiments").write_text("a file\n")
    with pytest.raises(JournalError, match="cannot be used"):
        write(tmp_path / "experiments" / "x.jsonl", ENTRIES[0])
