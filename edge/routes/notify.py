"""Calls that the notify actor answers."""

from actors.contracts.notify import ListNotifications, ReadNotifications
from actors.contracts.notify_preferences import GetPreferences, SetPreferences
from edge.route import Route, get, post, put

ROUTES: tuple[Route, ...] = (
    get("/v1/notifications", ListNotifications, scope="notifications:read"),
    post("/v1/notifications/read", ReadNotifications, scope="notifications:write"),
    get("/v1/me/notification-preferences", GetPreferences, scope="notifications:read"),
    put("/v1/me/notification-preferences", SetPreferences, scope="notifications:write"),
)
