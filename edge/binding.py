"""From path, query, headers and body to the message of a route."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, NoReturn, get_origin

import msgspec

from actors.contracts.values import Upload
from edge.body import decode_json
from edge.headers import Headers, if_match
from edge.problems import Problem, invalid, malformed, not_found
from edge.route import Route
from runtime import faults
from runtime.errors import Fault
from runtime.message import Request

Parameters = Sequence[tuple[str, str]]
Values = dict[str, Any]

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,18})", re.ASCII)


class Binder:
    """Builds a route's message. A field's place follows from its name: the path's parameters, `if_match` from the
    header, the rest from the body (POST, PUT, PATCH) or the query (GET, DELETE).

    :ivar fields: those that come from the body, or else from the query.
    :ivar if_match: the message heeds `If-Match`.
    :ivar bodiless: no body says as much as an empty object.
    """

    def __init__(self, route: Route) -> None:
        self.fields = faults.fields_of(route.message)
        self._path = {name: (self.fields.pop(name).type, kind) for name, kind in route.parameters.items()}
        self.if_match = self.fields.pop("if_match", None) is not None
        if route.form is not None:
            del self.fields["upload"]
        self.bodiless = route.method == "POST" and not any(field.required for field in self.fields.values())
        self._message = route.message
        self._has_body = route.has_body
        self._null_is_default = route.method == "POST"
        self._nested = tuple(name for name, field in self.fields.items() if faults.holds_object(field.type))
        caps = {name: faults.max_bytes(field.type) for name, field in self.fields.items()}
        self._capped = {name: cap for name, cap in caps.items() if cap is not None}
        self._times = tuple(name for name, field in self.fields.items() if faults.holds_time(field.type))
        self._readers = {name: _reader(field.type) for name, field in self.fields.items()}
        self._repeatable = frozenset(name for name, field in self.fields.items() if faults.item_type(field.type))

    def bind(self, path: Sequence[str], query: Parameters, headers: Headers, body: bytes) -> Request[Any]:
        """The message.

        :param path: values of the path's parameters, in order.
        :raises Problem: 400 it cannot be read; 404 an id in the path is none; 422 with all faults.
        """
        if self._has_body:
            own, suspicious = self._from_body(body)
            if query:
                self._refuse(path, [Fault(f"?{name[:200]}", "is not known here") for name, _ in _checked(query)])
        else:
            own, suspicious = self._from_query(query) if query else ({}, False)
        if suspicious and (found := self._faults_in(own)):
            self._refuse(path, found)
        values = own
        if self._null_is_default and None in own.values():
            values = {name: value for name, value in own.items() if value is not None or self.fields[name].required}
        if self.if_match:
            values = {**values, "if_match": if_match(headers)}
        if path:
            values = {**values, **dict(zip(self._path, path, strict=True))}
        try:
            message: Request[Any] = msgspec.convert(values, self._message)
        except msgspec.ValidationError:
            self._refuse(path, self._faults_in(own))
        if not all(map(faults.known_to_utc, self._times_in(message))):
            self._refuse(path, self._faults_in(own))
        return message

    def bind_form(self, query: Parameters, form: Mapping[str, str], upload: Upload) -> Request[Any]:
        """The message of a form and of the file that came with it. :raises Problem: 422 with all faults."""
        if query:
            raise invalid([Fault(f"?{name[:200]}", "is not known here") for name, _ in _checked(query)])
        values = {name: self._readers[name](text) for name, text in form.items()}
        if found := self._faults_in(values):
            raise invalid(found)
        message: Request[Any] = msgspec.convert({**values, "upload": msgspec.structs.asdict(upload)}, self._message)
        return message

    def _times_in(self, message: Request[Any]) -> Iterator[datetime]:
        for name in self._times:
            value = getattr(message, name)
            for each in value if isinstance(value, list) else (value,):
                if isinstance(each, datetime):
                    yield each

    def _from_body(self, body: bytes) -> tuple[Values, bool]:
        """Values, and whether something is odd that converting them would not notice."""
        if not body and (self.bodiless or not self.fields):
            return {}, False
        value = decode_json(body)
        if not isinstance(value, dict):
            raise invalid([Fault("", "must be an object")])
        # what is unknown inside an object, converting does not notice
        nested = any(value.get(name) is not None for name in self._nested)
        suspicious = nested or not value.keys() <= self.fields.keys() or b"\\u0000" in body
        for name, cap in self._capped.items():
            text = value.get(name)
            if isinstance(text, str) and faults.exceeds_bytes(text, cap):
                suspicious = True
        return value, suspicious

    def _from_query(self, query: Parameters) -> tuple[Values, bool]:
        values: Values = {}
        suspicious = False
        for name, text in _checked(query):
            read = self._readers.get(name, str)
            if name in self._repeatable:
                values.setdefault(name, []).append(read(text))
            else:
                values[name] = _Repeated() if name in values else read(text)
            suspicious = suspicious or "\0" in text or name not in self._readers
        return values, suspicious

    def _faults_in(self, own: Values) -> list[Fault]:
        found = islice(faults.in_object(own, self.fields, null_is_default=self._null_is_default), faults.MAX_FAULTS)
        if self._has_body:
            return list(found)
        faulty = {fault.pointer.split("/")[1]: fault.detail for fault in found}
        return [
            Fault(f"?{name}", "must be given once" if isinstance(own.get(name), _Repeated) else detail)
            for name, detail in faulty.items()
        ]

    def _refuse(self, path: Sequence[str], found: Sequence[Fault]) -> NoReturn:
        """What is malformed in the path comes first: without the resource, there is nothing to be wrong about."""
        for (tp, kind), value in zip(self._path.values(), path, strict=True):
            try:
                msgspec.convert(value, tp)
            except msgspec.ValidationError:
                raise not_found(kind) from None
        raise invalid(found)


class _Repeated:
    """In place of a parameter that stands there more often than it may; no type takes it."""


def _checked(query: Parameters) -> Parameters:
    if any(not (name.isascii() and text.isascii()) for name, text in query):
        try:
            "".join(name + text for name, text in query).encode()
        except UnicodeEncodeError:
            raise malformed("The query is not UTF-8.") from None
    return query


def _reader(tp: Any) -> Callable[[str], Any]:
    """How a text of the query becomes a value; what cannot, stays a text and is refused with the rest."""
    inner = faults.item_type(tp) or tp
    kinds = faults.kinds(inner)
    if bool in kinds:
        return lambda text: _BOOLEANS.get(text, text)
    if int in kinds:
        return lambda text: int(text) if _INTEGER.fullmatch(text) else text
    if any(get_origin(kind) is dict for kind in kinds):
        return _object
    return str


def _object(text: str) -> Any:
    """A field of a form that is JSON (as OpenAPI has it for objects)."""
    try:
        value = decode_json(text.encode())
    except Problem:
        return text
    return value if isinstance(value, dict) else text


_BOOLEANS: Mapping[str, bool] = {"true": True, "false": False}
