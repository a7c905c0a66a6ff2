"""Figures for Prometheus: what this gateway did since it started."""

from collections.abc import Mapping
from typing import Any

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

    def show_limits(self, settings: Mapping[str, Any]) -> None:
        """Take the limits among settings, by their names."""
        for name, value in settings.items():
            # Times and sizes are limits of one thing each; these are what a figure can come up to.
            if name.startswith(("max_", "min_", "ceiling_")) and value is not None:
                self.limit.labels(name).set(value)

    def text(self) -> bytes:
        """Return all figures in Prometheus' text format."""
        return generate_latest(self._registry)
