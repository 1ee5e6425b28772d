"""What the platform says about itself: logs, metrics, traces; enters: names and numbers, never a decision."""

from shared.telemetry.context import Bound, bind, correlation_id, new_correlation_id, new_traceparent, traceparent
from shared.telemetry.logging import configure_logging, get_logger
from shared.telemetry.metrics import counter, gauge, histogram, registry, render_metrics
from shared.telemetry.tracing import configure_tracing, span

__all__ = [
    "Bound",
    "bind",
    "configure_logging",
    "configure_tracing",
    "correlation_id",
    "counter",
    "gauge",
    "get_logger",
    "histogram",
    "new_correlation_id",
    "new_traceparent",
    "registry",
    "render_metrics",
    "span",
    "traceparent",
]
