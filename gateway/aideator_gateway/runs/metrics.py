"""Figures for Prometheus: what this gateway did since it started."""

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counters of one gateway; every instance has a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.runs_ended = Counter(
            "aideator_runs_ended", "Runs that ended.", ["status"], registry=self._registry
        )
        self.variations_ended = Counter(
            "aideator_variations_ended",
            "Variations that ended; reason is a stop reason or an error code.",
            ["status", "reason"],
            registry=self._registry,
        )
        self.tokens = Counter(
            "aideator_tokens",
            "Tokens of variations that ended, as the model's server counted them.",
            ["kind"],
            registry=self._registry,
        )
        self.runs_active = Gauge(
            "aideator_runs_active", "Runs that are pending or running.", registry=self._registry
        )
        self.requests_refused = Counter(
            "aideator_model_requests_refused",
            "Requests that the model broker did not pass on, by cause: wait_… have their turn "
            "later, limit_… are over a spending cap, all others may not be asked.",
            ["cause"],
            registry=self._registry,
        )
        self.streams_open = Gauge(
            "aideator_streams_open", "Clients that read a stream now.", registry=self._registry
        )
        self.log_commits_failed = Counter(
            "aideator_log_commits_failed",
            "Commits of the event log that failed; they are repeated.",
            registry=self._registry,
        )
        self.log_writes_waiting = Gauge(
            "aideator_log_writes_waiting",
            "Writes of the event log that are not committed yet.",
            registry=self._registry,
        )

    def text(self) -> bytes:
        """Return all figures in Prometheus' text format."""
        return generate_latest(self._registry)
