"""Calls that the notify actor answers."""

from actors.contracts.notify import ListNotifications, ReadNotifications
from actors.contracts.notify_preferences import GetPreferences, SetPreferences
from actors.contracts.notify_webhook import (
    CreateWebhook,
    DeleteWebhook,
    GetWebhook,
    ListDeliveries,
    ListWebhooks,
    Redeliver,
    RotateSecret,
    UpdateWebhook,
)
from actors.contracts.task_project import VouchForProject
from edge.route import Route, Vouch, delete, get, patch, post, put

_READ, _WRITE = "notifications:read", "notifications:write"
_PROJECT = Vouch(VouchForProject, required=True, project_id="project_id")

ROUTES: tuple[Route, ...] = (
    get("/v1/notifications", ListNotifications, scope=_READ),
    post("/v1/notifications/read", ReadNotifications, scope=_WRITE),
    get("/v1/me/notification-preferences", GetPreferences, scope=_READ),
    put("/v1/me/notification-preferences", SetPreferences, scope=_WRITE),
    post("/v1/webhooks", CreateWebhook, scope=_WRITE, created="/v1/webhooks/{id}", grants=(_PROJECT,)),
    get("/v1/webhooks", ListWebhooks, scope=_READ),
    get("/v1/webhooks/{id}", GetWebhook, scope=_READ),
    patch("/v1/webhooks/{id}", UpdateWebhook, scope=_WRITE),
    delete("/v1/webhooks/{id}", DeleteWebhook, scope=_WRITE),
    post("/v1/webhooks/{id}/rotate-secret", RotateSecret, scope=_WRITE),
    get("/v1/webhooks/{id}/deliveries", ListDeliveries, scope=_READ),
    post("/v1/webhooks/{id}/deliveries/{delivery_id}/redeliver", Redeliver, scope=_WRITE, accepted=True),
)
