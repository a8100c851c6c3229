"""Calls that the user actor answers."""

from actors.contracts.user import GetMe, Register, ResendVerification, SignIn, VerifyEmail
from edge.route import Route, get, post

ROUTES: tuple[Route, ...] = (
    post("/v1/users", Register, public=True, rate="auth", created="/v1/users/{id}"),
    post("/v1/sessions", SignIn, public=True, rate="auth", created="/v1/sessions/{session_id}"),
    post("/v1/email-verifications", VerifyEmail, public=True, rate="auth"),
    get("/v1/me", GetMe, scope="profile:read"),
    post("/v1/me/email-verification", ResendVerification, scope="profile:write", rate="auth", accepted=True),
)
