"""Calls that the user actor answers."""

from actors.contracts.user import GetMe, Register, ResendVerification, SignIn, VerifyEmail
from actors.contracts.user_session import (
    EndCurrentSession,
    EndOtherSessions,
    EndSession,
    ListSessions,
    RefreshSession,
)
from edge.route import Route, delete, get, post

ROUTES: tuple[Route, ...] = (
    post("/v1/users", Register, public=True, rate="auth", created="/v1/users/{id}"),
    post("/v1/sessions", SignIn, public=True, rate="auth", created="/v1/sessions/{session_id}"),
    post("/v1/sessions/refresh", RefreshSession, public=True, rate="auth"),
    get("/v1/sessions", ListSessions),
    delete("/v1/sessions", EndOtherSessions),
    delete("/v1/sessions/current", EndCurrentSession),
    delete("/v1/sessions/{id}", EndSession),
    post("/v1/email-verifications", VerifyEmail, public=True, rate="auth"),
    get("/v1/me", GetMe, scope="profile:read"),
    post("/v1/me/email-verification", ResendVerification, scope="profile:write", rate="auth", accepted=True),
)
