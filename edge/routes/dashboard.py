"""Calls that several actors answer."""

from __future__ import annotations

import msgspec

from actors.contracts.media import ListRecentMedia, Media
from actors.contracts.notify import CountUnread, Unread
from actors.contracts.task import GetTaskSummary, TaskSummary
from actors.contracts.task_project import Project
from actors.contracts.user import GetMe, User
from edge.route import Gathering, Route, get
from runtime.message import Query


class TaskCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Open tasks that are assigned to the caller; days are those of the caller's time zone."""

    overdue: int
    due_today: int
    assigned: int


class Dashboard(msgspec.Struct, frozen=True, kw_only=True):
    """What waits for the caller. `degraded` names the actors that did not answer: their parts are empty."""

    user: User | None
    tasks: TaskCounts
    projects: list[Project]
    notifications: Unread
    recent_media: list[Media]
    degraded: list[str]


class GetDashboard(Query[Dashboard], frozen=True, kw_only=True):
    """What waits for the caller, at a glance.

    Own account, open tasks, the newest 10 projects and files, unread notifications. An actor that does not answer
    within 2 seconds is named in `degraded`; its part is empty, and the rest is answered all the same.
    """


def joined(
    user: User | None, tasks: TaskSummary | None, unread: Unread | None, media: list[Media] | None, away: list[str]
) -> Dashboard:
    """The dashboard; None is the part of an actor that is away."""
    summary = tasks or TaskSummary(overdue=0, due_today=0, assigned=0, projects=[])
    return Dashboard(
        user=user,
        tasks=TaskCounts(overdue=summary.overdue, due_today=summary.due_today, assigned=summary.assigned),
        projects=summary.projects,
        notifications=unread or Unread(unread=0),
        recent_media=media or [],
        degraded=away,
    )


_ALL = Gathering(queries=(GetMe(), GetTaskSummary(), CountUnread(), ListRecentMedia(limit=10)), join=joined)

ROUTES: tuple[Route, ...] = (get("/v1/dashboard", GetDashboard, scope="tasks:read", gathering=_ALL),)
