"""How large a commit's tree is, before any of it is written."""

from pathlib import Path

from aideator_gateway.backends.git import too_large, tree_entries

_BLOCK = 4096
"""What file systems commonly give out, and so the least that a file or directory takes."""


async def measured(git_dir: Path, *, max_bytes: int, max_entries: int) -> int:
    """Return about how many bytes of disk the tree of ``HEAD`` will take.

    Parameters
    ----------
    max_bytes
        Most bytes that its files may have together.
    max_entries
        Most files and directories that it may have.

    Raises
    ------
    BackendError
        If there are more.
    """
    size = _Size(max_bytes, max_entries)
    await tree_entries(git_dir, size.count)
    return size.disk


class _Size:
    def __init__(self, max_bytes: int, max_entries: int) -> None:
        self._max_bytes = max_bytes
        self._max_entries = max_entries
        self._bytes = 0
        self._entries = 0
        self.disk = 0

    def count(self, entries: bytes) -> None:
        """Count some entries, and refuse what is over a limit."""
        for entry in entries.split(b"\0")[:-1]:
            text = entry.partition(b"\t")[0].split()[-1]
            size = int(text) if text.isdigit() else 0
            self._entries += 1
            self._bytes += size
            self.disk += max(1, -(-size // _BLOCK)) * _BLOCK
        if self._entries > self._max_entries:
            raise too_large(f"The commit has more than {self._max_entries} files and directories")
        if self._bytes > self._max_bytes:
            raise too_large(f"The commit's files have more than {self._max_bytes} bytes")
