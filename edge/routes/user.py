"""Calls that the user actor answers."""

from actors.contracts.user import GetMe, Register, SignIn
from edge.route import Route, get, post

ROUTES: tuple[Route, ...] = (
    post("/v1/users", Register, public=True, rate="auth", created="/v1/users/{id}"),
    post("/v1/sessions", SignIn, public=True, rate="auth", created="/v1/sessions/{session_id}"),
    get("/v1/me", GetMe, scope="profile:read"),
)
