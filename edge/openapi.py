"""The OpenAPI 3.1 document, made from the routes and the message types behind them."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from types import NoneType
from typing import Any

import msgspec

from edge.answer import JSON
from edge.binding import Binder
from edge.calendar import CalendarFile
from edge.direct import DirectUploads
from edge.docs_page import DocsPage
from edge.events import MEDIA_TYPE as EVENT_STREAM
from edge.events import EventsEndpoint
from edge.exports import MEDIA_TYPES
from edge.files import Avatars, Files
from edge.operations import Document, Health, Healthz, MetricsPage, Ready, Readyz
from edge.problems import MEDIA_TYPE, ProblemDetails
from edge.route import Route
from edge.unsubscribe import UnsubscribePage
from runtime.message import reply_type, wire_name

Json = dict[str, Any]

VERSION = "1"
FORM = "multipart/form-data"
_OPERATIONS = "operations"

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
            "paths": {**paths, **_operations(), **_files(), **_notify()},
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
        "responses": {str(route.status): _success(route, reply), **_others(route, binder)},
    }
    parameters: list[Json] = operation["parameters"]
    if route.has_body and binder.fields:
        schema = {"$ref": f"#/components/schemas/{route.message.__name__}"}
        kind = JSON if route.form is None else FORM
        operation["requestBody"] = {"required": not binder.bodiless, "content": {kind: {"schema": schema}}}
    if not route.has_body:
        parameters += [
            {"name": name, "in": "query", "required": field.required, "schema": _without_null(fields[name])}
            for name, field in binder.fields.items()
        ]
    common = ["X-Request-Id", "traceparent", "Prefer"]
    common += ["Idempotency-Key"] if route.method != "GET" else ["If-None-Match"] if route.versioned else []
    common += ["If-Match"] if binder.if_match else []
    parameters += [{"$ref": f"#/components/parameters/{name}"} for name in common]
    return operation


def _success(route: Route, reply: Json | None) -> Json:
    headers = ["X-Request-Id", "RateLimit", "RateLimit-Policy"]
    headers += ["Location"] if route.created else []
    headers += ["ETag"] if route.versioned else []
    headers += ["Idempotency-Replayed"] if route.method != "GET" else []
    answer: Json = {"description": HTTPStatus(route.status).phrase, "headers": _refs("headers", headers)}
    if route.replies:
        answer["content"] = {JSON: {"schema": reply}}
    if route.exports:
        others = (each.partition(";")[0] for each in MEDIA_TYPES.values())
        answer["content"] |= {each: {"schema": {"type": "string"}} for each in others if each != JSON}
    return answer


def _others(route: Route, binder: Binder) -> Json:
    statuses = [400, 422, 429, 500, 503, 504]
    statuses += [403, 404] if not route.public or route.parameters else []
    statuses += [409] if route.method != "GET" else []
    statuses += [401] if not route.public or route.rate == "auth" else []
    statuses += [412] if binder.if_match else []
    statuses += [408, 413, 415] if route.has_body else []
    statuses += [410] if "since" in binder.fields else []
    others: Json = {str(status): {"$ref": f"#/components/responses/{status}"} for status in sorted(statuses)}
    if route.method == "GET" and route.versioned:
        others["304"] = {"description": "The client has this version.", "headers": _refs("headers", ("ETag",))}
    return others


def _body_schema(route: Route, binder: Binder, message: Json) -> Json:
    """The message without what comes from elsewhere; as the edge takes it, so with nothing else."""
    properties = {name: dict(message["properties"][name]) for name in binder.fields}
    if route.method == "POST" and route.form is None:  # null means the default
        for name, field in binder.fields.items():
            if not field.required and _without_null(properties[name]) == properties[name]:
                default = {"default": properties[name].pop("default")} if "default" in properties[name] else {}
                properties[name] = {"anyOf": [properties[name], {"type": "null"}], **default}
    required = [name for name in message.get("required", []) if name in properties]
    if route.form is not None:
        properties["file"] = {"type": "string", "contentMediaType": "application/octet-stream"}
        required.append("file")
    return {**message, "properties": properties, "required": required, "additionalProperties": False}


def _without_null(schema: Json) -> Json:
    """A parameter that is not sent is not null."""
    rest = [each for each in schema.get("anyOf", []) if each != {"type": "null"}]
    if len(rest) == len(schema.get("anyOf", [])):
        return schema
    return dict(rest[0]) if len(rest) == 1 else {**schema, "anyOf": rest}


def _operations() -> dict[str, Json]:
    def operation(
        about: str | None, content: Json, *, name: str, security: bool = False, also: Json | None = None
    ) -> Json:
        return {
            "get": {
                "operationId": name,
                "summary": (about or "").partition("\n")[0],
                "tags": [_OPERATIONS],
                "security": [{"bearer": []}] if security else [],
                "responses": {"200": {"description": "OK", "content": content}, **(also or {})},
            }
        }

    ready = {JSON: {"schema": {"$ref": "#/components/schemas/Ready"}}}
    return {
        Healthz.path: operation(
            Healthz.__doc__, {JSON: {"schema": {"$ref": "#/components/schemas/Health"}}}, name="healthz"
        ),
        Readyz.path: operation(
            Readyz.__doc__, ready, name="readyz", also={"503": {"description": "Not ready.", "content": ready}}
        ),
        MetricsPage.path: operation(
            MetricsPage.__doc__,
            {"text/plain": {"schema": {"type": "string"}}},
            name="metrics",
            security=True,
            also={"401": {"$ref": "#/components/responses/401"}},
        ),
        Document.path: operation(Document.__doc__, {JSON: {"schema": {"type": "object"}}}, name="openapi"),
        DocsPage.path: operation(DocsPage.__doc__, {"text/html": {"schema": {"type": "string"}}}, name="docs"),
    }


def _files() -> Json:
    return {
        Files.path: _file(),
        Avatars.path: _avatar(),
        DirectUploads.path: _direct_upload(),
        CalendarFile.path: {"get": _calendar()},
    }


def _calendar() -> Json:
    return {
        "operationId": "calendar",
        "summary": inspect.cleandoc(CalendarFile.__doc__ or "").partition("\n")[0],
        "description": "The address comes from `POST /v1/me/calendar-feed`.",
        "tags": ["task"],
        "security": [],
        "parameters": [{"name": "token", "in": "path", "required": True, "schema": {"type": "string"}}],
        "responses": {
            "200": {
                "description": "OK",
                "headers": _refs("headers", ("ETag",)),
                "content": {"text/calendar": {"schema": {"type": "string"}}},
            },
            "304": {"description": "The client has it.", "headers": _refs("headers", ("ETag",))},
            **{str(status): {"$ref": f"#/components/responses/{status}"} for status in (404, 429, 500, 503)},
        },
    }


def _file() -> Json:
    return _bytes_of(
        _at_signed_address(Files, "file", "The address comes from `GET /v1/media/{id}/url`", (403, 404, 500, 503))
    )


def _avatar() -> Json:
    about = "`avatar_url` of a user leads here; the last part is the number of pixels"
    operation = _at_signed_address(Avatars, "avatar", about, (404, 500, 503))
    operation["description"] = f"{about}."
    operation["parameters"] = [
        {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}},
        {"name": "side", "in": "path", "required": True, "schema": {"type": "string", "enum": ["64", "128", "256"]}},
    ]
    return _bytes_of(operation)


def _bytes_of(operation: Json) -> Json:
    body = {"*/*": {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}}
    operation["responses"] |= {
        "200": {"description": "OK", "headers": _refs("headers", ("ETag",)), "content": body},
        "206": {"description": "The range that was asked for.", "content": body},
        "304": {"description": "The client has it.", "headers": _refs("headers", ("ETag",))},
        "416": {"description": "The range lies behind the end: `request.range`."},
    }
    return {"get": operation}


def _direct_upload() -> Json:
    body = {"*/*": {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}}
    problems = (400, 403, 404, 408, 413, 415, 422, 500, 503)
    operation = _at_signed_address(DirectUploads, "send", "The address comes from `POST /v1/media/uploads`", problems)
    operation["requestBody"] = {"required": True, "content": body}
    operation["responses"]["204"] = {"description": "The bytes are there; now complete the upload."}
    return {"put": operation}


def _notify() -> Json:
    return {EventsEndpoint.path: _events(), UnsubscribePage.path: _unsubscribe()}


def _events() -> Json:
    about = inspect.cleandoc(EventsEndpoint.__doc__ or "")
    name = "Last-Event-ID"
    return {
        "get": {
            "operationId": "events",
            "summary": about.partition(":")[0],
            "description": about,
            "tags": ["notify"],
            "security": [{"bearer": [EventsEndpoint.scope]}],
            "parameters": [
                {"name": name, "in": "header", **_header("The last event that was seen: what follows is shown.")},
                {"$ref": "#/components/parameters/X-Request-Id"},
            ],
            "responses": {
                "200": {"description": "OK", "content": {EVENT_STREAM: {"schema": {"type": "string"}}}},
                **{
                    str(status): {"$ref": f"#/components/responses/{status}"}
                    for status in (401, 403, 422, 429, 500, 503, 504)
                },
            },
        }
    }


def _unsubscribe() -> Json:
    about = inspect.cleandoc(UnsubscribePage.__doc__ or "")
    page = {"text/html": {"schema": {"type": "string"}}}
    operation: Json = {
        "description": about,
        "tags": ["notify"],
        "security": [],
        "parameters": [{"name": "token", "in": "path", "required": True, "schema": {"type": "string"}}],
        "responses": {
            "200": {"description": "OK", "content": page},
            "404": {"description": "A wrong token.", "content": page},
            **{str(status): {"$ref": f"#/components/responses/{status}"} for status in (429, 500, 503, 504)},
        },
    }
    return {
        "get": {"operationId": "unsubscribe_page", "summary": "A page that asks whether to unsubscribe", **operation},
        "post": {"operationId": "unsubscribe", "summary": "Unsubscribe with one click (RFC 8058)", **operation},
    }


def _at_signed_address(endpoint: type[Any], name: str, origin: str, problems: Sequence[int]) -> Json:
    parameters = {"id": "path", "variant": "query", "expires": "query", "key": "query", "signature": "query"}
    return {
        "operationId": name,
        "summary": inspect.cleandoc(endpoint.__doc__ or "").partition("\n")[0],
        "description": f"{origin}, unless the object store has its own.",
        "tags": ["media"],
        "security": [],
        "parameters": [
            {"name": name, "in": where, "required": True, "schema": {"type": "string"}}
            for name, where in parameters.items()
        ],
        "responses": {str(status): {"$ref": f"#/components/responses/{status}"} for status in problems},
    }


def _refs(kind: str, names: Iterable[str]) -> Json:
    return {name: {"$ref": f"#/components/{kind}/{name}"} for name in names}


def _header(about: str, **schema: Any) -> Json:
    return {"description": about, "schema": {"type": "string", **schema}}


def _parameter(name: str, about: str, **schema: Any) -> Json:
    return {"name": name, "in": "header", **_header(about, **schema)}


_PARAMETERS: Json = {
    "X-Request-Id": _parameter(
        "X-Request-Id", "Names this request in answers and logs.", pattern="^[A-Za-z0-9_.-]{1,128}$"
    ),
    "traceparent": _parameter("traceparent", "W3C Trace Context; the trace is continued."),
    "Prefer": _parameter("Prefer", "`wait=N`: seconds, decimal, that the client waits (RFC 7240)."),
    "Idempotency-Key": _parameter(
        "Idempotency-Key",
        "Makes it safe to send the request again: the same answer for 24 hours.",
        pattern="^[\\x21-\\x7e]{1,255}$",
    ),
    "If-Match": _parameter("If-Match", 'Act only on these versions: `"3"`, a list of such tags, or `*`.'),
    "If-None-Match": _parameter("If-None-Match", "Answer 304 when the client has the present version."),
}
_HEADERS: Json = {
    "X-Request-Id": _header("The request's own id, or a fresh one."),
    "RateLimit": _header("What is left in the present window (draft-ietf-httpapi-ratelimit-headers)."),
    "RateLimit-Policy": _header("The class of limits that the call counts in."),
    "Retry-After": _header("Seconds after which a new try makes sense.", type="integer"),
    "WWW-Authenticate": _header("How to prove who is asking."),
    "Allow": _header("The methods that the path knows."),
    "Location": _header("Where that which was made is."),
    "ETag": _header('The version, as a strong tag: `"3"`.'),
    "Idempotency-Replayed": _header("`true`: the answer was made for an earlier request with this key."),
}
_PROBLEM_HEADERS: Mapping[int, Sequence[str]] = {
    401: ("WWW-Authenticate",),
    429: ("Retry-After", "RateLimit", "RateLimit-Policy"),
    503: ("Retry-After",),
}
_PROBLEMS: Mapping[int, str] = {
    400: "The request cannot be read: `request.malformed`.",
    401: "Who is asking is not proven: `auth.required`, `auth.token_invalid`, `auth.invalid_credentials` and others.",
    403: "The caller may not do this: `auth.forbidden`, `auth.scope_missing`, `auth.session_required` and others.",
    404: "There is none, or not for this caller: `<kind>.not_found`.",
    408: "The body did not arrive in time: `request.timeout`.",
    409: "The present state does not allow it: `idempotency.in_progress` and those that the call names.",
    410: "What was since then is not kept any more: `changes.expired`.",
    412: "Another version than `If-Match` allows: `request.precondition_failed`.",
    413: "The body is too large: `request.too_large`.",
    415: "The body is of another media type, or a file of a kind that is not taken: `request.media_type`,"
    " `media.type_not_allowed`.",
    422: "The request breaks a rule: `request.invalid` with `errors`, `idempotency.key_reused` and those of the call.",
    429: "Too many calls: `rate.limited`, `auth.throttled`.",
    500: "A fault of ours: `internal`.",
    503: "An actor or what it needs is away, or has too much to do: `edge.unavailable`, `edge.overloaded`.",
    504: "The actor did not answer in time: `edge.timeout`. Try again with the same Idempotency-Key.",
}
