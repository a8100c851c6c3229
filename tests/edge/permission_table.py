"""Who may call what: the reviewed table that `test_permissions` compares the served routes with.

Six answers a call, each from a client that differs in who it is alone:

- anonymous: without a token
- member: whom all that the path and the body name belongs to
- other: another member, who shares nothing with them
- suspended: like the other, whose account was suspended after they signed in
- admin: an admin, who shares nothing either
- unscoped: the member's own API token with all scopes but the call's

Ids in the path are those of the member's things. In a body, `{project}` is replaced likewise, `{unique}` by what nobody
used before. A password in a body is a wrong one where the right one would end the account: 403 then says that the call
itself was allowed.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Row(NamedTuple):
    """One call. :ivar scope: what an API token needs; `session`: none will do; `public`: nothing is needed."""

    call: str
    scope: str
    answers: str
    body: Any = None
    query: str = ""


class Form(NamedTuple):
    """A body with a file."""

    name: str
    content: bytes
    fields: tuple[tuple[str, str], ...] = ()


PUBLIC, SESSION = "public", "session"
FILE = Form("a.txt", b"text")
ANNOUNCED = {"filename": "a.txt", "content_type": "text/plain", "size": 1}
ARCHIVE = Form("a.json", b"{}", (("format", "github-archive"),))
NEW_USER = {"email": "{unique}@example.org", "password": "correct horse battery staple", "name": "New"}
PREFERENCES = {
    "channels": {"email": True, "sms": True, "in_app": True}, "events": {}, "quiet_hours": None, "digest": "off",
}  # fmt: skip
WEBHOOK = {"url": "http://receiver.example/", "events": ["task_created"], "project_id": "{project}"}

#                                                                anon mem oth sus adm uns
TABLE = (
    Row("POST /v1/users", PUBLIC,                               "201 201 201 201 201 201", NEW_USER),
    Row("POST /v1/sessions", PUBLIC,                            "401 401 401 401 401 401", {"email": "{unique}", "password": "y"}),
    Row("POST /v1/sessions/refresh", PUBLIC,                    "401 401 401 401 401 401", {"refresh_token": "x"}),
    Row("POST /v1/email-verifications", PUBLIC,                 "422 422 422 422 422 422", {"token": "x"}),
    Row("POST /v1/password-resets", PUBLIC,                     "202 202 202 202 202 202", {"email": "{unique}"}),
    Row("PUT /v1/password-resets", PUBLIC,                      "422 422 422 422 422 422", {"token": "x", "password": "correct horse"}),
    Row("GET /.well-known/jwks.json", PUBLIC,                   "200 200 200 200 200 200"),
    # accounts
    Row("GET /v1/users", SESSION,                               "401 403 403 401 200 403"),
    Row("GET /v1/users/{id}", "profile:read",                   "401 200 404 401 200 403"),
    Row("PATCH /v1/users/{id}", SESSION,                        "401 403 403 401 200 403", {"role": "member"}),
    Row("GET /v1/admin/audit", SESSION,                         "401 403 403 401 200 403"),
    Row("GET /v1/admin/actors", SESSION,                        "401 403 403 401 200 403"),
    Row("GET /v1/admin/dead-letters", SESSION,                  "401 403 403 401 200 403"),
    Row("GET /v1/admin/dead-letters/{id}", SESSION,             "401 403 403 401 200 403"),
    Row("DELETE /v1/admin/dead-letters/{id}", SESSION,          "401 403 403 401 204 403"),
    Row("POST /v1/admin/dead-letters/{id}/replay", SESSION,     "401 403 403 401 202 403"),
    Row("POST /v1/admin/dead-letters/replay", SESSION,          "401 403 403 401 202 403", {"actor": "task", "type": "x"}),
    Row("GET /v1/me", "profile:read",                           "401 200 200 401 200 403"),
    Row("PATCH /v1/me", "profile:write",                        "401 200 200 401 200 403", {"name": "New"}),
    Row("DELETE /v1/me", SESSION,                               "401 403 403 401 403 403", {"password": "wrong"}),
    Row("POST /v1/me/password", SESSION,                        "401 403 403 401 403 403", {"current_password": "wrong", "new_password": "correct horse"}),
    Row("POST /v1/me/email-verification", "profile:write",      "401 202 202 401 202 403"),
    # sessions, second factor, API tokens
    Row("GET /v1/sessions", SESSION,                            "401 200 200 401 200 403"),
    Row("DELETE /v1/sessions", SESSION,                         "401 204 204 401 204 403"),
    Row("DELETE /v1/sessions/current", SESSION,                 "401 204 204 401 204 403"),
    Row("DELETE /v1/sessions/{id}", SESSION,                    "401 204 404 401 404 403"),
    Row("POST /v1/me/totp", SESSION,                            "401 201 201 401 201 403"),
    Row("PUT /v1/me/totp", SESSION,                             "401 409 409 401 409 403", {"code": "x"}),  # nothing was begun
    Row("DELETE /v1/me/totp", SESSION,                          "401 403 403 401 403 403", {"password": "wrong"}),
    Row("POST /v1/me/tokens", SESSION,                          "401 201 201 401 201 403", {"name": "CI", "scopes": ["tasks:read"]}),
    Row("GET /v1/me/tokens", SESSION,                           "401 200 200 401 200 403"),
    Row("DELETE /v1/me/tokens/{id}", SESSION,                   "401 204 404 401 404 403"),
    # projects
    Row("POST /v1/projects", "tasks:write",                     "401 201 201 401 201 403", {"name": "Engine"}),
    Row("GET /v1/projects", "tasks:read",                       "401 200 200 401 200 403"),
    Row("GET /v1/projects/{id}", "tasks:read",                  "401 200 404 401 404 403"),
    Row("PATCH /v1/projects/{id}", "tasks:write",               "401 200 404 401 404 403", {"name": "New"}),
    Row("DELETE /v1/projects/{id}", "tasks:write",              "401 204 404 401 404 403"),
    Row("GET /v1/projects/{id}/members", "tasks:read",          "401 200 404 401 404 403"),
    Row("PUT /v1/projects/{id}/members/{user_id}", "tasks:write", "401 200 404 401 404 403", {"role": "owner"}),
    Row("DELETE /v1/projects/{id}/members/{user_id}", "tasks:write", "401 409 404 401 404 403"),  # the last owner
    Row("POST /v1/projects/{id}/labels", "tasks:write",         "401 201 404 401 404 403", {"name": "new"}),
    Row("GET /v1/projects/{id}/labels", "tasks:read",           "401 200 404 401 404 403"),
    Row("PATCH /v1/labels/{id}", "tasks:write",                 "401 200 404 401 404 403", {"name": "other"}),
    Row("DELETE /v1/labels/{id}", "tasks:write",                "401 204 404 401 404 403"),
    # tasks
    Row("POST /v1/tasks", "tasks:write",                        "401 201 404 401 404 403", {"project_id": "{project}", "title": "New"}),
    Row("GET /v1/tasks", "tasks:read",                          "401 200 200 401 200 403"),
    Row("GET /v1/tasks/{id}", "tasks:read",                     "401 200 404 401 404 403"),
    Row("PATCH /v1/tasks/{id}", "tasks:write",                  "401 200 404 401 404 403", {"title": "New"}),
    Row("DELETE /v1/tasks/{id}", "tasks:write",                 "401 204 404 401 404 403"),
    Row("POST /v1/tasks/batch", "tasks:write",                  "401 200 200 401 200 403", {"operations": [{"op": "delete", "id": "x"}]}),
    Row("POST /v1/tasks/{id}/move", "tasks:write",              "401 200 404 401 404 403", {"status": "done"}),
    Row("PUT /v1/tasks/{id}/relations/{kind}/{other_id}", "tasks:write", "401 409 404 401 404 403"),  # to itself
    Row("DELETE /v1/tasks/{id}/relations/{kind}/{other_id}", "tasks:write", "401 200 404 401 404 403"),
    Row("GET /v1/tasks/{id}/activity", "tasks:read",            "401 200 404 401 404 403"),
    Row("POST /v1/activity/{id}/undo", "tasks:write",           "401 409 404 401 404 403"),  # that it came to be
    Row("GET /v1/changes", "tasks:read",                        "401 200 200 401 200 403"),
    Row("POST /v1/tasks/{id}/restore", "tasks:write",           "401 200 404 401 404 403"),
    Row("PUT /v1/tasks/{id}/assignees/{user_id}", "tasks:write", "401 200 404 401 404 403"),
    Row("DELETE /v1/tasks/{id}/assignees/{user_id}", "tasks:write", "401 200 404 401 404 403"),
    Row("PUT /v1/tasks/{id}/labels/{label_id}", "tasks:write",  "401 200 404 401 404 403"),
    Row("DELETE /v1/tasks/{id}/labels/{label_id}", "tasks:write", "401 200 404 401 404 403"),
    Row("PUT /v1/tasks/{id}/watchers/me", "tasks:write",        "401 200 404 401 404 403"),
    Row("DELETE /v1/tasks/{id}/watchers/me", "tasks:write",     "401 200 404 401 404 403"),
    Row("POST /v1/tasks/{id}/comments", "tasks:write",          "401 201 404 401 404 403", {"body": "New"}),
    Row("GET /v1/tasks/{id}/comments", "tasks:read",            "401 200 404 401 404 403"),
    Row("PATCH /v1/comments/{id}", "tasks:write",               "401 200 404 401 404 403", {"body": "Other"}),
    Row("DELETE /v1/comments/{id}", "tasks:write",              "401 204 404 401 404 403"),
    Row("POST /v1/imports", "tasks:write",                      "401 202 202 401 202 403", ARCHIVE),
    Row("GET /v1/imports/{id}", "tasks:read",                   "401 200 404 401 404 403"),
    Row("POST /v1/me/calendar-feed", SESSION,                   "401 201 201 401 201 403"),
    Row("DELETE /v1/me/calendar-feed", SESSION,                 "401 204 204 401 204 403"),
    Row("GET /v1/projects/{id}/export", "tasks:read",           "401 200 404 401 404 403", query="?format=json"),
    Row("GET /v1/dashboard", "tasks:read",                      "401 200 200 401 200 403"),
    # notifications
    Row("GET /v1/notifications", "notifications:read",          "401 200 200 401 200 403"),
    Row("POST /v1/notifications/read", "notifications:write",   "401 204 204 401 204 403", {"ids": "all"}),
    Row("GET /v1/me/notification-preferences", "notifications:read", "401 200 200 401 200 403"),
    Row("PUT /v1/me/notification-preferences", "notifications:write", "401 200 200 401 200 403", PREFERENCES),
    Row("POST /v1/webhooks", "notifications:write",             "401 201 404 401 404 403", WEBHOOK),
    Row("GET /v1/webhooks", "notifications:read",               "401 200 200 401 200 403"),
    Row("GET /v1/webhooks/{id}", "notifications:read",          "401 200 404 401 404 403"),
    Row("PATCH /v1/webhooks/{id}", "notifications:write",       "401 200 404 401 404 403", {"active": False}),
    Row("DELETE /v1/webhooks/{id}", "notifications:write",      "401 204 404 401 404 403"),
    Row("POST /v1/webhooks/{id}/rotate-secret", "notifications:write", "401 200 404 401 404 403"),
    Row("GET /v1/webhooks/{id}/deliveries", "notifications:read", "401 200 404 401 404 403"),
    Row("POST /v1/webhooks/{id}/deliveries/{delivery_id}/redeliver", "notifications:write", "401 202 404 401 404 403"),
    # media
    Row("POST /v1/media", "media:write",                        "401 201 201 401 201 403", FILE),
    Row("POST /v1/media/uploads", "media:write",                "401 201 201 401 201 403", ANNOUNCED),
    Row("POST /v1/media/{id}/complete", "media:write",          "401 200 404 401 404 403"),
    Row("GET /v1/media/{id}", "media:read",                     "401 200 404 401 404 403"),
    Row("DELETE /v1/media/{id}", "media:write",                 "401 204 404 401 404 403"),
    Row("GET /v1/media/{id}/url", "media:read",                 "401 200 404 401 404 403"),
    Row("GET /v1/tasks/{id}/attachments", "tasks:read",         "401 200 404 401 404 403"),
)  # fmt: skip
