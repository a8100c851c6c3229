"""Calls that the user actor answers."""

from actors.contracts.media import VouchForAvatar
from actors.contracts.task_people import VouchForCompanion, VouchForDeparture
from actors.contracts.user import (
    DeleteMe,
    GetJwks,
    GetMe,
    Register,
    ResendVerification,
    SignIn,
    UpdateMe,
    VerifyEmail,
)
from actors.contracts.user_admin import ChangeUser, GetUser, ListAudit, ListUsers
from actors.contracts.user_password import AskForReset, ChangePassword, ResetPassword
from actors.contracts.user_session import (
    EndCurrentSession,
    EndOtherSessions,
    EndSession,
    ListSessions,
    RefreshSession,
)
from actors.contracts.user_token import CreateToken, ListTokens, RevokeToken
from actors.contracts.user_totp import BeginTotp, ConfirmTotp, DisableTotp
from edge.route import Route, Vouch, delete, get, patch, post, put

_COMPANION = Vouch(VouchForCompanion, user_id="id")
_AVATAR = Vouch(VouchForAvatar, media_id="avatar_media_id", required=True)
_DEPARTURE = Vouch(VouchForDeparture, required=True)

ROUTES: tuple[Route, ...] = (
    post("/v1/users", Register, public=True, rate="auth", created="/v1/users/{id}"),
    get("/v1/users", ListUsers),
    get("/v1/users/{id}", GetUser, scope="profile:read", grants=(_COMPANION,)),
    patch("/v1/users/{id}", ChangeUser),
    get("/v1/admin/audit", ListAudit),
    post("/v1/sessions", SignIn, public=True, rate="auth", created="/v1/sessions/{session_id}"),
    post("/v1/sessions/refresh", RefreshSession, public=True, rate="auth"),
    get("/v1/sessions", ListSessions),
    delete("/v1/sessions", EndOtherSessions),
    delete("/v1/sessions/current", EndCurrentSession),
    delete("/v1/sessions/{id}", EndSession),
    post("/v1/email-verifications", VerifyEmail, public=True, rate="auth"),
    post("/v1/password-resets", AskForReset, public=True, rate="auth", accepted=True),
    put("/v1/password-resets", ResetPassword, public=True, rate="auth"),
    get("/v1/me", GetMe, scope="profile:read"),
    patch("/v1/me", UpdateMe, scope="profile:write", grants=(_AVATAR,)),
    delete("/v1/me", DeleteMe, body=True, grants=(_DEPARTURE,)),
    post("/v1/me/password", ChangePassword),
    post("/v1/me/email-verification", ResendVerification, scope="profile:write", rate="auth", accepted=True),
    post("/v1/me/totp", BeginTotp, created="/v1/me/totp"),
    put("/v1/me/totp", ConfirmTotp),
    delete("/v1/me/totp", DisableTotp, body=True),
    post("/v1/me/tokens", CreateToken, created="/v1/me/tokens/{id}"),
    get("/v1/me/tokens", ListTokens),
    delete("/v1/me/tokens/{id}", RevokeToken),
    get("/.well-known/jwks.json", GetJwks, public=True),
)
