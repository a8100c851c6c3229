"""Calls that the task actor answers about calendars; `edge/calendar.py` serves the calendar itself."""

from actors.contracts.task_calendar import MakeCalendarFeed, RemoveCalendarFeed
from edge.route import Route, delete, post

ROUTES: tuple[Route, ...] = (
    post("/v1/me/calendar-feed", MakeCalendarFeed, created="{url}"),
    delete("/v1/me/calendar-feed", RemoveCalendarFeed),
)
