"""What waits for somebody: the task actor's part of the dashboard."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from actors.contracts.task import GetTaskSummary, TaskSummary
from actors.contracts.values import milliseconds
from actors.records.task import TaskRecords
from actors.requests import caller_of
from runtime.actor import handles
from runtime.context import Context

NEWEST: Final = 10
"""Projects in a summary, at most."""


class Summary:
    """Handlers of summaries."""

    @handles
    async def summarize(self, query: GetTaskSummary, ctx: Context[TaskRecords]) -> TaskSummary:
        """What waits for the caller; today is the day of their time zone."""
        caller, projects = caller_of(ctx), ctx.records.projects
        person = await projects.person(caller)
        today = day_of(ctx.now, person.timezone if person else "UTC")
        assigned, overdue, due_today = await ctx.records.audience.waiting(caller, ctx.now, today)
        newest = await projects.page_of(caller, limit=NEWEST, after=None)
        return TaskSummary(
            assigned=assigned,
            overdue=overdue,
            due_today=due_today,
            projects=[project.view(role) for project, role in newest],
        )


def day_of(now: int, timezone: str) -> tuple[int, int]:
    """The day of a moment in a time zone: its beginning and that of the next, in ms since the epoch."""
    zone = ZoneInfo(timezone)
    date = datetime.fromtimestamp(now / 1000, UTC).astimezone(zone).date()
    first, next_one = (datetime(day.year, day.month, day.day, tzinfo=zone) for day in (date, date + timedelta(days=1)))
    return milliseconds(first), milliseconds(next_one)
