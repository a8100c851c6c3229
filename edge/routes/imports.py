"""Calls about imports, which the task actor answers."""

from actors.contracts.task_import import CancelImport, GetImport, OpenImport, StartImport
from edge.route import FileForm, Route, get, upload

_FILE = FileForm(ticket=OpenImport, cancel=CancelImport)

ROUTES: tuple[Route, ...] = (
    upload("/v1/imports", StartImport, form=_FILE, scope="tasks:write", created="/v1/imports/{id}", accepted=True),
    get("/v1/imports/{id}", GetImport, scope="tasks:read"),
)
