"""Prometheus metrics of this process: one registry, each metric made once by name, whoever asks."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.process_collector import ProcessCollector

disable_created_metrics()  # when a series was made is no number of ours
registry: Final = CollectorRegistry()
ProcessCollector(registry=registry)

METRICS_CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
LATENCY_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

_made: dict[str, Counter | Gauge | Histogram] = {}
_lock = Lock()


def counter(name: str, labels: Sequence[str] = (), description: str = "") -> Counter:
    """The counter of that name; made on first asking."""
    with _lock:
        made = _made.get(name)
        if made is None:
            made = _made[name] = Counter(name, description or name, list(labels), registry=registry)
    if not isinstance(made, Counter):
        raise TypeError(f"{name} is not a counter")
    return made


def gauge(name: str, labels: Sequence[str] = (), description: str = "") -> Gauge:
    """The gauge of that name; made on first asking."""
    with _lock:
        made = _made.get(name)
        if made is None:
            made = _made[name] = Gauge(name, description or name, list(labels), registry=registry)
    if not isinstance(made, Gauge):
        raise TypeError(f"{name} is not a gauge")
    return made


def histogram(
    name: str, labels: Sequence[str] = (), description: str = "", buckets: Sequence[float] = LATENCY_BUCKETS
) -> Histogram:
    """The histogram of that name; made on first asking."""
    with _lock:
        made = _made.get(name)
        if made is None:
            made = _made[name] = Histogram(
                name, description or name, list(labels), registry=registry, buckets=tuple(buckets)
            )
    if not isinstance(made, Histogram):
        raise TypeError(f"{name} is not a histogram")
    return made


def render_metrics() -> bytes:
    """Everything measured, in the Prometheus text format."""
    return generate_latest(registry)
