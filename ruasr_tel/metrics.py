"""Prometheus metrics of calls and recognition; no call ids, no text."""

from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from pydantic import Field

from ruasr_tel.section import Section


class MetricsConfig(Section):
    """Where Prometheus can read the metrics."""

    enabled: bool = False
    """Whether to serve them over HTTP, at any path."""
    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = Field(9464, ge=0, le=65535)
    """Port to listen on (OpenTelemetry's default for Prometheus exporters)."""


class Metrics:
    """All metrics of one server, in a registry of its own."""

    def __init__(self) -> None:
        self._http: WSGIServer | None = None
        self.registry = CollectorRegistry()
        self.calls = Counter(
            "ruasr_calls", "Calls by door and outcome", ["door", "outcome"], registry=self.registry
        )
        self.active = Gauge("ruasr_calls_active", "Calls now", ["door"], registry=self.registry)
        self.model_calls = Gauge(
            "ruasr_model_calls_active", "Calls now by model", ["model"], registry=self.registry
        )
        self.finals = Counter(
            "ruasr_finals",
            "Finals by reason and error",
            ["reason", "failed"],
            registry=self.registry,
        )
        self.partials = Counter("ruasr_partials", "Partials shown", registry=self.registry)
        self.audio_s = Counter(
            "ruasr_audio_seconds",
            "Received audio by fate: decoded, silence, or why it was dropped",
            ["fate"],
            registry=self.registry,
        )
        self.unaccounted = Counter(
            "ruasr_unaccounted_samples",
            "Samples that no ledger entry explains: anything but 0 is a bug",
            registry=self.registry,
        )
        self.concealed_s = Counter(
            "ruasr_concealed_seconds",
            "Audio that did not arrive and was filled in with silence, by reason",
            ["reason"],
            registry=self.registry,
        )
        self.packets = Counter(
            "ruasr_packets",
            "Packets of audio (RTP), by door and what became of them",
            ["door", "fate"],
            registry=self.registry,
        )
        self.history_lost = Counter(
            "ruasr_history_lost_events",
            "Events of calls that history could not keep",
            registry=self.registry,
        )
        self.bad_messages = Counter(
            "ruasr_bad_messages",
            "What peers sent against their protocol, by door and kind",
            ["door", "kind"],
            registry=self.registry,
        )
        self.final_delay_s = Histogram(
            "ruasr_final_delay_seconds",
            "From the arrival of a segment's last speech to its final, endpointing included",
            buckets=(0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 30),
            registry=self.registry,
        )

    def serve(self, config: MetricsConfig) -> str:
        """Start to answer scrapes, in a daemon thread of prometheus-client; return the URL.

        Raises:
            OSError: it cannot listen there, for the port is in use or the host not ours.
        """
        self._http, _ = start_http_server(config.port, config.host, self.registry)
        host = f"[{config.host}]" if ":" in config.host else config.host
        return f"http://{host}:{self._http.server_port}/metrics"

    def close(self) -> None:
        """Answer no more scrapes."""
        if self._http is not None:
            self._http.shutdown()
            self._http.server_close()
            self._http = None
