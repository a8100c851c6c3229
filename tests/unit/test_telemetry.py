"""One event is one line, and no secret is in it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from runtime.dispatch import Dispatch
from runtime.ports import Store
from runtime.telemetry import Metrics, child_of, redact, trace_id
from runtime.verdict import Received
from tests.unit.counter import CounterActor, GetTotal
from tests.unit.house import KEY, envelope

ROOT = Path(__file__).parents[2]
JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl"
CANARY = "canary-7c21"


def redacted(**event: Any) -> dict[str, Any]:
    return dict(redact(None, "info", event))


@pytest.mark.parametrize(
    "text",
    [
        f"a token {JWT} in a text",
        "Authorization: Bearer " + CANARY,
        "bearer " + CANARY,
        "trp_" + CANARY.replace("-", "_"),
        f"postgresql://user:{CANARY}@host/db",
        f"cannot reach amqp://guest:{CANARY}@10.0.0.1:5672,amqp://guest:{CANARY}@10.0.0.2:5672",
        f"redis://:{CANARY}@host",
        f"amqp://user:{CANARY}%40x@host,other/",
        f"GET /v1/live?access_token={CANARY}&x=1",
        f"https://host/reset?token={CANARY}",
        f'{{"password": "{CANARY}"}}',
    ],
)
def test_a_secret_in_a_text_is_not_logged(text: str) -> None:
    """B111"""
    shown = redacted(event="x", reason=text, nested={"reason": text}, several=[text, (text,)])
    assert CANARY not in str(shown)
    assert CANARY.replace("-", "_") not in str(shown)
    assert JWT not in str(shown)
    assert "***" in shown["reason"]


@pytest.mark.parametrize(
    "key",
    ["password", "new_password", "secret", "access_token", "Authorization", "cookie", "api_key", "totp", "apikey"],
)
def test_a_secret_under_its_name_is_not_logged(key: str) -> None:
    """B111"""
    shown = redacted(event="x", **{key: CANARY}, nested={key: {"a": CANARY}}, several=[{key: CANARY}])
    assert CANARY not in str(shown)


def test_what_is_no_secret_stays() -> None:
    event = {
        "event": "x",
        "url": "https://host/v1/tasks?limit=5",
        "count": 5,
        "names": ["a"],
        "host": "a:5672",
        "none": None,
    }
    assert redacted(**event) == event


@pytest.mark.parametrize("text", ["a\x1b[31mb", "a\rb", "a\nb", "a\x00b", "a\x85b", "a\u2028b", "a\x7fb", "a\x9bb"])
def test_a_control_character_in_a_field_is_escaped(text: str) -> None:
    """B50"""
    shown = redacted(event=text, name=text, several=[text])
    for value in (shown["event"], shown["name"], shown["several"][0]):
        assert value == f"a\\u{ord(text[1]):04x}" + text[2:]


PROGRAM = """
import logging, sys
from runtime.telemetry import configure_logging, logger
configure_logging(format=sys.argv[1], level="info")
logger().info("first\\nforged", name="ESC \\x1b[31m CR \\r LF \\n end", text="Bearer canary-7c21")
logging.getLogger("library").warning("second\\nforged %s", "canary \\x1b password=canary-7c21 amqp://u:canary-7c21@h")
logging.getLogger("library").info("not shown")
logger().debug("not shown")
"""


def lines_of(format: str, program: str = PROGRAM) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", program, format], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout == ""
    return [line for line in re.split(r"[\n\r\x85\u2028]", done.stderr) if line]


@pytest.mark.parametrize("format", ["json", "console"])
def test_one_event_is_one_line_without_secrets_also_of_libraries(format: str) -> None:
    """B50, B111"""
    first, second = lines_of(format)
    assert "first" in first
    assert "second" in second
    for line in (first, second):
        assert "canary-7c21" not in line
        assert "\x1b" not in line


def test_json_is_one_object_a_line_with_level_and_utc_time() -> None:
    for line in lines_of("json"):
        event = json.loads(line)
        assert event["level"] in ("info", "warning")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", event["timestamp"])


@pytest.mark.parametrize("format", ["json", "console"])
def test_a_secret_in_an_exception_is_not_logged(format: str) -> None:
    """B111"""
    program = """
import sys
from runtime.telemetry import configure_logging, logger
configure_logging(format=sys.argv[1], level="info")
try:
    raise ValueError("cannot reach amqp://guest:canary-7c21@host \\x1b[31m")
except ValueError as error:
    logger().error("failed", exc_info=error)
"""
    text = "\n".join(lines_of(format, program))
    assert "cannot reach" in text
    assert "canary-7c21" not in text
    assert "\x1b" not in text


async def test_the_log_of_a_failed_query_names_its_request_and_trace(file_store: Store) -> None:
    async def during(name: str) -> None:
        raise ZeroDivisionError

    actor = CounterActor()
    actor.during = during
    dispatch = Dispatch(actor, file_store, key=KEY, metrics=Metrics(), offer=lambda _: None)
    query = envelope(GetTotal(name="a"), trace=f"00-{'a' * 32}-{'b' * 16}-01", request_id="r1")
    with capture_logs(processors=[merge_contextvars]) as events:
        await dispatch([Received(query)])
    (event,) = events
    assert (event["event"], event["request_id"], event["trace_id"]) == ("handler.failed", "r1", "a" * 32)
    assert isinstance(event["exc_info"], ZeroDivisionError)


def test_a_traceparent_is_continued_and_a_wrong_one_is_not() -> None:
    parent = f"00-{'a' * 32}-{'b' * 16}-01"
    child = child_of(parent)
    assert trace_id(child) == trace_id(parent) == "a" * 32
    assert child != parent
    assert child.endswith("-01")
    for wrong in (
        "",
        "00",
        parent.upper(),
        parent.replace("a", "0"),
        parent.replace("b", "0"),
        parent + "-x",
        "01" + parent[2:],
    ):
        assert trace_id(wrong) is None
        assert trace_id(child_of(wrong)) not in (None, "a" * 32)
    assert child_of(None).endswith("-00")


def test_metrics_are_prometheus_text_and_each_process_has_its_own() -> None:
    metrics, other = Metrics(), Metrics()
    metrics.resent.labels("task").inc()
    assert b'troupe_resent_total{actor="task"} 1.0' in metrics.render()
    assert b'actor="task"' not in other.render()
