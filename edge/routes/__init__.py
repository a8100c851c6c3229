"""The calls of the API, one module an actor, one line a route."""

from edge.route import Route
from edge.routes import task, user

ROUTES: tuple[Route, ...] = (*user.ROUTES, *task.ROUTES)
