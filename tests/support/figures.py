"""What a process takes of its machine, and what a gateway says of itself."""

import os
from pathlib import Path

from tests.support.gateways import Gateway


def memory_mebibytes(process: int) -> float:
    """Return how much of a process is in memory."""
    return _of_status(process, "VmRSS")


def own_mebibytes(process: int) -> float:
    """Return the same without files, which the system takes away and brings back as it likes."""
    return _of_status(process, "RssAnon")


def _of_status(process: int, name: str) -> float:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1]) / 1024


def open_file_count(process: int) -> int:
    """Return how many files, sockets among them, a process has open."""
    return sum(1 for _ in Path(f"/proc/{process}/fd").iterdir())


def cpu_seconds(process: int) -> float:
    """Return how long a process has worked."""
    # What comes behind the name, which may hold anything.
    after = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(after[11]) + int(after[12])) / os.sysconf("SC_CLK_TCK")


def metric(gateway: Gateway, name: str) -> float:
    """Return one of a gateway's figures, by its name and labels."""
    lines = gateway.http.get("/metrics").text.splitlines()
    return float(next(line for line in lines if line.startswith(f"{name} ")).split(" ")[1])
