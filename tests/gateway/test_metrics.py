"""Figures that are made from what goes through."""

from aideator_gateway.runs.frames import newest_time
from aideator_gateway.runs.metrics import Metrics


def test_the_newest_time_of_a_stretch_is_that_of_its_last_frame() -> None:
    quoted = b'id: 1\nevent: message\ndata: {"content": "\\"time\\": 3.0}", "time": 1.5}\n\n'
    later = b'id: 2\nevent: message\ndata: {"content": "x", "time": 1760000000.25}\n\n'
    assert newest_time(quoted) == 1.5
    assert newest_time(quoted + later) == 1760000000.25
    assert newest_time(b'id: 3\nevent: end\ndata: {"status": "completed"}\n\n') is None


def test_costs_are_counted_by_provider_and_model_and_have_an_end() -> None:
    metrics = Metrics()
    metrics.spent("default", "a", 0.25)
    metrics.spent("default", "a", 0.5)
    metrics.spent("default", "free", None)
    for number in range(500):
        metrics.spent("default", f"m{number}", 1.0)
    lines = [
        line for line in metrics.text().decode().splitlines()
        if line.startswith("aideator_cost_usd_total{")
    ]  # fmt: skip
    assert 'aideator_cost_usd_total{model="a",provider="default"} 0.75' in lines
    assert 'aideator_cost_usd_total{model="other",provider="other"} 401.0' in lines
    assert not any('"free"' in line for line in lines)
    assert len(lines) == 101
