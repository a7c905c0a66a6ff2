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


def processor_seconds(process: int) -> tuple[float, float]:
    """Return what a process has used, and what children have that it has seen end (Linux)."""
    # What comes behind the name, which may hold anything.
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    own, children = sum(map(int, fields[11:13])), sum(map(int, fields[13:15]))
    ticks = os.sysconf("SC_CLK_TCK")
    return own / ticks, children / ticks


def metric(gateway: Gateway, name: str) -> float:
    """Return one of a gateway's figures, by its name and labels."""
    lines = gateway.http.get("/metrics").text.splitlines()
    return float(next(line for line in lines if line.startswith(f"{name} ")).split(" ")[1])
