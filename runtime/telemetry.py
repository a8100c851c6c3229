"""Logs, metrics and traces: one JSON object a line, Prometheus, W3C trace context."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Mapping, MutableMapping
from contextlib import AbstractContextManager
from typing import Any, Literal

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest

_SECRET_KEYS = re.compile(r"pass(word|phrase)?$|secret|token|authorization|cookie|api_?key|refresh|totp|digest", re.I)
# what a secret looks like wherever it stands: JWTs, our API tokens, credentials in URLs and headers
_SECRET_TEXT = re.compile(
    r"eyJ[\w-]+\.[\w-]+\.[\w-]*|trp_[\w-]+|(?<=://)[^/@\s:]*:[^/@\s]+(?=@)|(?<=[Bb]earer )\S+", re.ASCII
)
_NAMED_SECRET = re.compile(r"""((?:password|passphrase|secret|token|api_?key)["']?\s?[=:]\s?["']?)[^\s"'&,;}]+""", re.I)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_CONTROL_BUT_LINES = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]")


def configure_logging(*, format: Literal["json", "console", "auto"], level: str) -> None:
    """Set up structlog for the process; standard `logging` of libraries joins it from `warning` on."""
    console = format == "console" or (format == "auto" and sys.stderr.isatty())
    renderer: structlog.typing.Processor
    if console:
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    else:
        renderer = structlog.processors.JSONRenderer(ensure_ascii=False)
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.ExceptionRenderer(),  # to a text, so that what it says is redacted too
        redact,
    ]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    # it prints a traceback for each lost connection; our driver says so in a line
    logging.getLogger("aiormq").setLevel(logging.CRITICAL)


def logger() -> Any:
    """The process's logger: `logger().info("event.name", key=value)`. Bound with request and trace id in a handler."""
    return structlog.get_logger()


def bound_to(request_id: str, trace: str | None) -> AbstractContextManager[Any]:
    """Whatever is logged within names this request and its trace."""
    return structlog.contextvars.bound_contextvars(request_id=request_id, trace_id=trace_id(trace or ""))


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: secrets become `***`, by name of the key and by look; control characters are escaped.

    A traceback keeps its lines; all else is one.
    """
    for key, value in event.items():
        if not key.startswith("_"):  # structlog's own
            event[key] = _safe(key, value)
    return event


def _safe(key: str, value: Any) -> Any:
    if _SECRET_KEYS.search(key):
        return "***"
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {name: _safe(str(name), each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_safe(key, each) for each in value]
    text = _NAMED_SECRET.sub(r"\1***", _SECRET_TEXT.sub("***", str(value)))
    control = _CONTROL_BUT_LINES if key == "exception" else _CONTROL
    return control.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def child_of(traceparent: str | None) -> str:
    """A traceparent of the same trace with a span id of its own (W3C Trace Context); of a new trace without one."""
    trace = trace_id(traceparent) if traceparent else None
    flags = traceparent[-2:] if traceparent and trace else "00"
    return f"00-{trace or os.urandom(16).hex()}-{os.urandom(8).hex()}-{flags}"


def trace_id(traceparent: str) -> str | None:
    """The trace id in a version 00 traceparent; None when it is none."""
    match = re.fullmatch(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}", traceparent)
    return match[1] if match else None


_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """What the process counts, in a registry of its own. Times are in seconds."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry
        self.asked = Histogram(
            "troupe_ask_seconds", "Asks, until their answer.", ["actor", "outcome"], buckets=_BUCKETS, registry=registry
        )
        self.resent = Counter("troupe_resent_total", "Requests sent again.", ["actor"], registry=registry)
        self.handled = Counter(
            "troupe_handled_total", "Messages, by what became of them.", ["actor", "type", "verdict"], registry=registry
        )
        self.handling = Histogram(
            "troupe_handle_seconds",
            "Handling one list of messages.",
            ["actor", "type"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self.in_flight = Gauge("troupe_in_flight", "Envelopes being worked on.", ["actor"], registry=registry)
        self.shed = Counter("troupe_shed_total", "Requests not looked at.", ["actor", "why"], registry=registry)
        self.published = Counter("troupe_published_total", "Outbox rows confirmed.", ["actor"], registry=registry)
        self.parked = Counter("troupe_parked_total", "Failed handlings.", ["actor", "type"], registry=registry)
        self.dead = Counter("troupe_dead_letters_total", "Messages given up.", ["actor", "type"], registry=registry)
        self.restarts = Counter("troupe_restarts_total", "Loops that were restarted.", ["loop"], registry=registry)
        self.requests = Histogram(
            "troupe_http_seconds", "HTTP requests.", ["route", "method", "status"], buckets=_BUCKETS, registry=registry
        )
        self.depth = Gauge(
            "troupe_queue_depth", "Messages that no process has taken yet.", ["actor", "queue"], registry=registry
        )
        self.outbox_age = Gauge(
            "troupe_outbox_age_seconds", "Age of the oldest unsent event.", ["actor"], registry=registry
        )

    def render(self) -> bytes:
        """All of it in Prometheus' text format 0.0.4."""
        return generate_latest(self.registry)
