"""Structured logs: one JSON object per line, with what the task is bound to and without secrets."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Final, Protocol

import orjson
import structlog

MASK: Final = "***"
_SECRET_NAME = re.compile(r"authori[sz]ation|secret|password|passphrase|token|assertion|api_?key|cookie", re.IGNORECASE)
_SECRET_TEXT = re.compile(
    r"(?i)\b(bearer|basic)\s+[a-z0-9._~+/=-]{8,}|\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
)


class Logger(Protocol):
    """What rooms use of a logger: an event in words, its facts as keywords."""

    def debug(self, event: str, **facts: Any) -> Any:
        """For whoever follows one case."""
        ...

    def info(self, event: str, **facts: Any) -> Any:
        """Something a reader of the day expects."""
        ...

    def warning(self, event: str, **facts: Any) -> Any:
        """Something to look at when it repeats."""
        ...

    def error(self, event: str, **facts: Any) -> Any:
        """Something an operator must look at."""
        ...

    def exception(self, event: str, **facts: Any) -> Any:
        """An error with the trace of the exception in hand."""
        ...


def without_secrets(text: str) -> str:
    """The text with bearer tokens, JWTs and passwords in URLs masked."""
    return _SECRET_TEXT.sub(MASK, text)


def _mask(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = MASK if _SECRET_NAME.search(name) else without_secrets(value)
        elif value is not None and not isinstance(value, bool | int | float) and _SECRET_NAME.search(name):
            event[name] = MASK
    return event


def _as_json(event: Any, **_options: Any) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


class _Stderr(logging.Handler):
    """Writes to whatever stderr is at the moment: it may be replaced while the process lives."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(f"{self.format(record)}\n")
            sys.stderr.flush()
        except (OSError, ValueError):
            self.handleError(record)


def configure_logging(tier: str, level: str = "INFO") -> None:
    """Send all logs of this process, those of libraries too, to stderr as JSON lines named after the tier."""

    def named(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["tier"] = tier
        return event

    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        named,
        structlog.processors.format_exc_info,
        _mask,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = _Stderr()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=_as_json),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in ("httpx", "httpcore", "nats", "alembic"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))


def get_logger(name: str) -> Logger:
    """A logger; silent about levels below the configured one."""
    logger: Logger = structlog.stdlib.get_logger(name)
    return logger
