"""The OpenAPI 3.1 document, made from the routes and the message types behind them."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from types import NoneType
from typing import Any

import msgspec

from edge.binding import Binder
from edge.operations import Document, Health, Healthz, MetricsPage, Ready, Readyz
from edge.problems import MEDIA_TYPE, ProblemDetails
from edge.route import Route
from runtime.message import reply_type, wire_name

Json = dict[str, Any]

VERSION = "1"
_REF = "#/components/schemas/{name}"

_ABOUT = """\
Tasks for teams. Bodies are JSON in UTF-8, ids UUIDs, times RFC 3339. Errors are problem documents (RFC 9457) with a \
stable `code`.

- **Bodies**: unknown fields are refused. In PATCH, null clears a field and a list replaces the whole list; in POST, \
null means the default.
- **Idempotency-Key** on a call that changes something: the same key, caller and request gives the same answer for \
24 hours, with `Idempotency-Replayed: true`.
- **Versions**: `ETag` is the resource's version; `If-None-Match` and `If-Match` heed it.
- **Limits**: `RateLimit` and `RateLimit-Policy` say how much is left; 429 and 503 come with `Retry-After`.
- **Deadlines**: `Prefer: wait=N` says how many seconds the client waits.
- **Collections**: newest first unless said; `next_cursor` asks for the next page and is null on the last one.
"""


def document(routes: Sequence[Route], *, server: str) -> bytes:
    """The document as JSON. :param server: the address that clients use."""
    replies = [reply for route in routes if (reply := reply_type(route.message)) not in (None, NoneType)]
    types = (*replies, *(route.message for route in routes), ProblemDetails, Health, Ready)
    refs, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    answers = dict(zip(map(repr, replies), refs, strict=False))
    paths: dict[str, Json] = {}
    for route in routes:
        message = components.pop(route.message.__name__)
        binder = Binder(route)
        operation = _operation(route, binder, message, answers.get(repr(reply_type(route.message))))
        if route.has_body and binder.fields:
            components[route.message.__name__] = _body_schema(route, binder, message)
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    for each in components.values():
        if "description" in each:
            each["description"] = inspect.cleandoc(each["description"])
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {"title": "Troupe", "version": VERSION, "description": _ABOUT},
            "servers": [{"url": server}],
            "security": [{"bearer": []}],
            "tags": [{"name": name} for name in dict.fromkeys([*(route.actor for route in routes), _OPERATIONS])],
            "paths": {**paths, **_operations()},
            "components": {
                "schemas": components,
                "parameters": _PARAMETERS,
                "headers": _HEADERS,
                "responses": {
                    str(status): {
                        "description": text,
                        "headers": _refs("headers", ("X-Request-Id", *_PROBLEM_HEADERS.get(status, ()))),
                        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}},
                    }
                    for status, text in _PROBLEMS.items()
                },
                "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
            },
        }
    )


def _operation(route: Route, binder: Binder, message: Json, reply: Json | None) -> Json:
    about = inspect.cleandoc(route.message.__doc__ or "")
    fields: Mapping[str, Json] = message.get("properties", {})
    operation: Json = {
        "operationId": wire_name(route.message),
        "summary": about.partition(".")[0],
        "description": about,
        "tags": [route.actor],
        "security": [] if route.public else [{"bearer": [route.scope] if route.scope else []}],
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": fields[name]} for name in route.parameters
        ],
        "responses": {str(route.status): _success(route, reply), **_problems(route, binder)},
    }
    parameters: list[Json] = operation["parameters"]
    if route.has_body and binder.fields:
        schema = {"$ref": f"#/components/schemas/{route.message.__name__}"}
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    if not route.has_body:
        parameters += [
            {"name": name, "in": "query", "required": field.required, "schema": _without_null(fields[name])}
            for name, field in binder.fields.items()
        ]
    common = ["X-Request-Id", "traceparent", "Prefer"]
    common += ["Idempotency-Key"] if route.method != "GET" else ["If-None-Match"] if _versioned(reply) else []
    common += ["If-Match"] if binder.if_match else []
    parameters += [{"$ref": f"#/components/parameters/{name}"} for name in common]
    return operation


def _success(route: Route, reply: Json | None) -> Json:
    headers = ["X-Request-Id", "RateLimit", "RateLimit-Policy"]
    headers += ["Location"] if route.created else []
    headers += ["ETag"] if _versioned(reply) else []
    headers += ["Idempotency-Replayed"] if route.method != "GET" else []
    answer: Json = {"description": HTTPStatus(route.status).phrase, "headers": _refs("headers", headers)}
    if route.status != 204:
        answer["content"] = {"application/json": {"schema": reply}}
    return answer


def _problems(route: Route, binder: Binder) -> Json:
    statuses = [400, 422, 429, 500, 503, 504]
    statuses += [403, 404] if not route.public or route.parameters else []
    statuses += [409] if route.method != "GET" else []
    statuses += [401] if not route.public or route.rate == "auth" else []
    statuses += [412] if binder.if_match else []
    statuses += [408, 413, 415] if route.has_body else []
    return {str(status): {"$ref": f"#/components/responses/{status}"} for status in sorted(statuses)}
