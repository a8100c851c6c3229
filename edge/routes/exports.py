"""A project as a file, which the task actor's answers are put together to."""

from actors.contracts.task_project import GetProject
from actors.contracts.values import Id
from edge.exports import Export, ExportFormat
from edge.route import Route, get
from runtime.message import Query


class ExportProject(Query[Export], frozen=True, kw_only=True):
    """A project as a file: `json` with all that is in it, `csv` with a line a task, `ics` with a to-do a task.

    `json` has the files of tasks too, as base64 in pieces, and of tasks that recur their place in the series; it can be
    imported as `troupe-json`.
    Without its trash, and without e-mail addresses. It is streamed: an answer that breaks off is not whole. What is
    changed meanwhile may be in it or not. In `csv`, a text that begins with `=`, `+`, `-` or `@` has an apostrophe
    before it. Refuses `project.not_found`.
    """

    id: Id
    format: ExportFormat

    def project(self) -> GetProject:
        """What is asked first: whether the caller may see it."""
        return GetProject(id=self.id)


ROUTES: tuple[Route, ...] = (get("/v1/projects/{id}/export", ExportProject, scope="tasks:read", exports=True),)
"""The one call whose answer is no single reply of an actor."""
