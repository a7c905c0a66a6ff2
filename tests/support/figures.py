"""What a process takes of its machine, and what a gateway says of itself."""

from pathlib import Path

from tests.support.gateways import Gateway


def memory_mebibytes(process: int) -> float:
    """Return how much of a process is in memory."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1]) / 1024


def open_file_count(process: int) -> int:
    """Return how many files, sockets among them, a process has open."""
    return sum(1 for _ in Path(f"/proc/{process}/fd").iterdir())


def metric(gateway: Gateway, name: str) -> float:
    """Return one of a gateway's figures, by its name and labels."""
    lines = gateway.http.get("/metrics").text.splitlines()
    return float(next(line for line in lines if line.startswith(f"{name} ")).split(" ")[1])
