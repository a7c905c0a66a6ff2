"""Figures for Prometheus: what this gateway did since it started."""

from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_DELAYS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


_MODELS = 100


class Metrics:
    """Counters of one gateway; every instance has a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._models: set[tuple[str, str]] = set()
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
        self.runs_pending = Gauge(
            "aideator_runs_pending", "Runs that wait for their turn.", registry=self._registry
        )
        self.runs_pending_bytes = Gauge(
            "aideator_runs_pending_bytes",
            "Bytes of the prompts of runs that wait for their turn.",
            registry=self._registry,
        )
        self.runs_refused = Counter(
            "aideator_runs_refused",
            "Requests for a run that were refused.",
            ["code"],
            registry=self._registry,
        )
        self.connections_open = Gauge(
            "aideator_connections_open", "Connections of clients now.", registry=self._registry
        )
        self.connections_cut = Counter(
            "aideator_connections_cut",
            "Connections that this side ended; reason is what the client took too long for (idle, "
            "header, body, send), or that there was no room (replaced, refused).",
            ["reason"],
            registry=self._registry,
        )
        self.downloads_open = Gauge(
            "aideator_downloads_open",
            "Patches and transcripts that are sent now.",
            registry=self._registry,
        )
        self.downloads_waiting = Gauge(
            "aideator_downloads_waiting",
            "Requests for patches and transcripts that wait for others to be sent.",
            registry=self._registry,
        )
        self.disk_free_bytes = Gauge(
            "aideator_disk_free_bytes",
            "Bytes that the disk of the data directory has left.",
            registry=self._registry,
        )
        self.limit = Gauge(
            "aideator_limit", "Limits that are in force, by setting.", ["setting"],
            registry=self._registry,
        )  # fmt: skip
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
        self.commits_kept_bytes = Gauge(
            "aideator_commits_kept_bytes",
            "Bytes of disk that commits take which are kept for later runs.",
            registry=self._registry,
        )
        self.commits_fetched = Counter(
            "aideator_commits_fetched",
            "Commits that had to be fetched and checked out.",
            registry=self._registry,
        )
        self.commits_reused = Counter(
            "aideator_commits_reused",
            "Commits that were there when a run wanted them.",
            registry=self._registry,
        )
        self.commits_removed = Counter(
            "aideator_commits_removed",
            "Commits that were removed to keep within the bound.",
            registry=self._registry,
        )

        self.token_delay = Histogram(
            "aideator_token_delay_seconds",
            "Seconds from when an agent said something to when a client that was there by then had "
            "it written to its connection; of the newest event of each stretch that was sent.",
            buckets=_DELAYS,
            registry=self._registry,
        )
        self.cost = Counter(
            "aideator_cost_usd",
            "US dollars that variations which ended have cost, where prices are known; past the "
            f"first {_MODELS} pairs of provider and model, others are other.",
            ["provider", "model"],
            registry=self._registry,
        )
        self.runs_pruned = Counter(
            "aideator_runs_pruned",
            "Runs that retention removed.",
            registry=self._registry,
        )
        self.database_bytes = Gauge(
            "aideator_database_bytes",
            "Bytes of the database's files, the log of writes included.",
            registry=self._registry,
        )

    def spent(self, provider: str, model: str, usd: float | None) -> None:
        """Count what a variation has cost; whoever calls names the model, so there is an end."""
        if not usd:
            return
        pair = (provider, model)
        if pair not in self._models and len(self._models) >= _MODELS:
            pair = ("other", "other")
        self._models.add(pair)
        self.cost.labels(*pair).inc(usd)

    def show_limits(self, settings: Mapping[str, Any]) -> None:
        """Take the limits among settings, by their names."""
        for name, value in settings.items():
            # Times and sizes are limits of one thing each; these are what a figure can come up to.
            if name.startswith(("max_", "min_", "ceiling_")) and value is not None:
                self.limit.labels(name).set(value)

    def text(self) -> bytes:
        """Return all figures in Prometheus' text format."""
        return generate_latest(self._registry)
