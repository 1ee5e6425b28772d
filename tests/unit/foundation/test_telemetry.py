"""Logs, metrics and traces: what is bound, what is masked, what is counted."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from shared.errors.taxonomy import Misconfigured
from shared.telemetry import (
    bind,
    configure_logging,
    configure_tracing,
    correlation_id,
    counter,
    gauge,
    get_logger,
    histogram,
    new_traceparent,
    render_metrics,
    span,
    traceparent,
)
from shared.telemetry.logging import without_secrets


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure_logging("system", "info")

    def read() -> list[dict[str, Any]]:
        return [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    yield read
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_a_line_says_tier_level_event_and_what_is_bound(lines: Any) -> None:
    log = get_logger("throughline.test")
    with bind(tenant="harbour", correlation_id="corr-1"):
        log.info("invoice_posted", lines=3)
        log.debug("not shown")
    log.warning("unbound")
    first, second = lines()
    assert first["event"] == "invoice_posted"
    assert first["tier"] == "system"
    assert first["level"] == "info"
    assert first["tenant"] == "harbour"
    assert first["correlation_id"] == "corr-1"
    assert first["lines"] == 3
    assert "tenant" not in second
    assert correlation_id.get() is None


def test_library_logs_become_lines_too(lines: Any) -> None:
    logging.getLogger("some.library").warning("%s is slow", "disk")
    (line,) = lines()
    assert (line["event"], line["logger"], line["tier"]) == ("disk is slow", "some.library", "system")


def test_secrets_are_masked_by_name_and_by_shape(lines: Any) -> None:
    get_logger("x").error("Bearer abcdefghijklmnop", client_secret="s", headers={"a": 1}, access_token=["t"], n=1)
    try:
        int("eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.sig")
    except ValueError:
        get_logger("x").exception("postgresql://user:pass@host/db")
    text = json.dumps(lines())
    assert "abcdefghijklmnop" not in text
    assert '"client_secret": "***"' in text
    assert '"access_token": "***"' in text
    assert "eyJzdWIi" not in text
    assert "pass@" not in text
    assert "host/db" in text
    assert without_secrets("nothing to hide") == "nothing to hide"


async def test_what_one_task_binds_another_does_not_see() -> None:
    async def bound(value: str) -> str | None:
        bind(correlation_id=value)
        await asyncio.sleep(0.01)
        return correlation_id.get()

    assert await asyncio.gather(bound("a"), bound("b")) == ["a", "b"]
    assert correlation_id.get() is None


def test_a_metric_is_made_once_by_name() -> None:
    assert counter("throughline_test_total", ["a"]) is counter("throughline_test_total", ["a"])
    counter("throughline_test_total", ["a"]).labels("x").inc()
    histogram("throughline_test_seconds").observe(0.2)
    gauge("throughline_test_open").set(3)
    for wrong in (counter, gauge, histogram):
        with pytest.raises(TypeError):
            wrong("throughline_test_open" if wrong is not gauge else "throughline_test_total")
    text = render_metrics().decode()
    assert 'throughline_test_total{a="x"} 1.0' in text
    assert "throughline_test_open 3.0" in text
    assert 'throughline_test_seconds_bucket{le="0.25"} 1.0' in text
    assert "_created" not in text


def test_a_trace_goes_on_through_spans() -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
    token = traceparent.set(parent)
    with span("outer"):
        outer = traceparent.get()
        with span("inner", attributes={"n": 1}):
            inner = traceparent.get()
        assert traceparent.get() == outer
    assert traceparent.get() == parent
    traceparent.reset(token)
    names = {value.split("-")[2] for value in (parent, outer or "", inner or "")}
    assert len(names) == 3
    assert all(value is not None and value.split("-")[1::2] == parent.split("-")[1::2] for value in (outer, inner))


@pytest.mark.parametrize("wrong", ["", "x", "00-" + "0" * 32 + "-b7ad6b7169203331-01", "ff" + "-a" * 3])
def test_a_malformed_trace_starts_a_new_one(wrong: str) -> None:
    made = new_traceparent(wrong)
    assert len(made.split("-")) == 4
    assert made.split("-")[1] != "0" * 32


def test_an_unknown_exporter_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not configure_tracing("system", "none")
    monkeypatch.setenv("THROUGHLINE_TRACE_EXPORTER", "fax")
    with pytest.raises(Misconfigured, match="THROUGHLINE_TRACE_EXPORTER"):
        configure_tracing("system")
    with pytest.raises(Misconfigured, match="opentelemetry-exporter-otlp"):
        configure_tracing("system", "otlp")
