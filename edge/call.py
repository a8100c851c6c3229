"""One HTTP request on its way through the edge."""

from __future__ import annotations

from urllib.parse import parse_qsl

from aiohttp import web

from edge.headers import identity

UNSERVED = "unserved"
"""The route of a request that nothing serves."""


class Call:
    """What the edge knows of a request.

    :ivar path: raw, without the query.
    :ivar address: the client's; behind trusted proxies, what they say.
    :ivar route: the path as the document writes it, `/v1/tasks/{id}`.
    :ivar values: of the path's parameters, in order.
    :ivar limits: the headers that say how much the caller may still do; set once it was counted.
    """

    __slots__ = (
        "_parameters",
        "address",
        "limits",
        "path",
        "query",
        "request",
        "request_id",
        "route",
        "trace",
        "values",
    )

    def __init__(self, request: web.BaseRequest) -> None:
        self.request = request
        target = request.raw_path
        if not target.startswith("/"):  # absolute-form of a proxy request, or `*`
            target = request.rel_url.raw_path_qs
        self.path, _, self.query = target.partition("?")
        self.request_id, self.trace = identity(request.headers)
        self.address = ""
        self.route = UNSERVED
        self.values: list[str] = []
        self.limits: tuple[tuple[str, str], ...] = ()
        self._parameters: list[tuple[str, str]] | None = None

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """Names and values of the query, in order; bytes that are no UTF-8 become lone surrogates."""
        if self._parameters is None:
            self._parameters = (
                parse_qsl(self.query, keep_blank_values=True, errors="surrogateescape") if self.query else []
            )
        return self._parameters
