"""Spans through the OpenTelemetry API; the W3C context is kept even when no exporter is installed."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from importlib import import_module

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shared.errors.taxonomy import Misconfigured
from shared.telemetry.context import new_traceparent, traceparent

_propagator = TraceContextTextMapPropagator()


def configure_tracing(tier: str, exporter: str | None = None) -> bool:
    """Install an exporter when asked to (argument, else `THROUGHLINE_TRACE_EXPORTER`): `console` or `otlp`.

    `otlp` needs the package `opentelemetry-exporter-otlp-proto-http`. Returns whether spans leave this process.
    """
    chosen = (exporter or os.environ.get("THROUGHLINE_TRACE_EXPORTER", "")).strip().lower()
    if chosen in {"", "none"}:
        return False
    target: SpanExporter
    if chosen == "console":
        target = ConsoleSpanExporter()
    elif chosen == "otlp":
        target = _otlp()
    else:
        raise Misconfigured(f"THROUGHLINE_TRACE_EXPORTER: {chosen!r} is not one of none, console, otlp.")
    provider = TracerProvider(resource=Resource.create({"service.name": f"throughline-{tier}"}))
    provider.add_span_processor(BatchSpanProcessor(target))
    trace.set_tracer_provider(provider)
    return True


def _otlp() -> SpanExporter:
    try:
        module = import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    except ImportError as error:
        raise Misconfigured(
            "THROUGHLINE_TRACE_EXPORTER=otlp needs the package opentelemetry-exporter-otlp-proto-http."
        ) from error
    exporter: SpanExporter = module.OTLPSpanExporter()
    return exporter


@contextmanager
def span(
    name: str, *, kind: SpanKind = SpanKind.INTERNAL, attributes: Mapping[str, str | int | float | bool] | None = None
) -> Generator[Span]:
    """A span below the task's trace context; inside the block `traceparent` names this span."""
    parent = traceparent.get()
    context = _propagator.extract({"traceparent": parent}) if parent else None
    tracer = trace.get_tracer("throughline")
    with tracer.start_as_current_span(name, context=context, kind=kind, attributes=dict(attributes or {})) as current:
        token = traceparent.set(_name_of(current, parent))
        try:
            yield current
        except BaseException as error:
            current.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise
        finally:
            traceparent.reset(token)


def _name_of(current: Span, parent: str | None) -> str:
    if not current.is_recording():
        return new_traceparent(parent)
    identity = current.get_span_context()
    return f"00-{identity.trace_id:032x}-{identity.span_id:016x}-{int(identity.trace_flags):02x}"
