"""The calls of the API, one module an actor or a subject of it, one line a route."""

from edge.route import Route
from edge.routes import admin, calendar, dashboard, exports, imports, media, notify, task, user

ROUTES: tuple[Route, ...] = (
    *user.ROUTES,
    *task.ROUTES,
    *calendar.ROUTES,
    *imports.ROUTES,
    *exports.ROUTES,
    *notify.ROUTES,
    *media.ROUTES,
    *dashboard.ROUTES,
    *admin.ROUTES,
)
