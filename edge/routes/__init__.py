"""The calls of the API, one module an actor or a subject of it, one line a route."""

from edge.route import Route
from edge.routes import admin, dashboard, imports, media, notify, task, user

ROUTES: tuple[Route, ...] = (
    *user.ROUTES,
    *task.ROUTES,
    *imports.ROUTES,
    *notify.ROUTES,
    *media.ROUTES,
    *dashboard.ROUTES,
    *admin.ROUTES,
)
