"""From a path to the endpoints behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote

if TYPE_CHECKING:
    from edge.answer import Answer
    from edge.call import Call


class Endpoint(Protocol):
    """Answers the calls of one method and path."""

    @property
    def path(self) -> str:
        """As it is written in the document: `/v1/tasks/{id}`."""
        ...

    async def answer(self, call: Call) -> Answer:
        """:raises Problem: any answer that is no success."""
        ...


class _Node:
    __slots__ = ("endpoints", "named", "parameter")

    def __init__(self) -> None:
        self.endpoints: dict[str, Endpoint] = {}
        self.named: dict[str, _Node] = {}
        self.parameter: _Node | None = None


class Router:
    """A tree of path segments. A segment that is spelled out wins over a parameter."""

    def __init__(self) -> None:
        self._root = _Node()

    def add(self, method: str, path: str, endpoint: Endpoint) -> None:
        """:raises ValueError: this method and path are taken."""
        node = self._root
        for segment in path.split("/")[1:]:
            if segment.startswith("{"):
                if node.parameter is None:
                    node.parameter = _Node()
                node = node.parameter
            else:
                node = node.named.setdefault(segment, _Node())
        if method in node.endpoints:
            raise ValueError(f"{method} {path} is served twice")
        node.endpoints[method] = endpoint

    def find(self, path: str) -> tuple[Mapping[str, Endpoint], list[str]]:
        """Method → endpoint, and the values of the path's parameters in order. No endpoints: no such path.

        :param path: raw, as it came.
        """
        segments = path.split("/")[1:]
        if "%" in path:
            try:
                segments = [unquote(segment, errors="strict") for segment in segments]
            except UnicodeDecodeError:
                return {}, []
        node = self._root
        values: list[str] = []
        for segment in segments:
            following = node.named.get(segment)
            if following is None:
                following = node.parameter
                if following is None:
                    return {}, []
                values.append(segment)
            node = following
        return node.endpoints, values
