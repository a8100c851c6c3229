"""The calls of the API, one module an actor, one line a route."""

from edge.route import Route
from edge.routes import dashboard, media, notify, task, user

ROUTES: tuple[Route, ...] = (*user.ROUTES, *task.ROUTES, *notify.ROUTES, *media.ROUTES, *dashboard.ROUTES)
