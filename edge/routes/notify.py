"""Calls that the notify actor answers."""

from actors.contracts.notify import ListNotifications, ReadNotifications
from edge.route import Route, get, post

ROUTES: tuple[Route, ...] = (
    get("/v1/notifications", ListNotifications, scope="notifications:read"),
    post("/v1/notifications/read", ReadNotifications, scope="notifications:write"),
)
