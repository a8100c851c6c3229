"""Calls that the media actor answers."""

from actors.contracts.media import (
    BeginUpload,
    CancelUpload,
    CompleteUpload,
    DeleteMedia,
    FinishUpload,
    GetMedia,
    GetMediaUrl,
    GetSubject,
    ListAttachments,
    OpenUpload,
)
from actors.contracts.task import VouchForTask
from edge.route import FileForm, Route, Vouch, delete, get, post, upload

_FILE = FileForm(ticket=OpenUpload, cancel=CancelUpload)
_NAMED_TASK = Vouch(VouchForTask, task_id="task_id", required=True)
_ITS_TASK = Vouch(VouchForTask, task_id="task_id", through=GetSubject, required=True)
_THIS_TASK = Vouch(VouchForTask, task_id="id", required=True)

ROUTES: tuple[Route, ...] = (
    upload(
        "/v1/media",
        FinishUpload,
        form=_FILE,
        scope="media:write",
        rate="upload",
        created="/v1/media/{id}",
        grants=(_NAMED_TASK,),
    ),
    post(
        "/v1/media/uploads",
        BeginUpload,
        scope="media:write",
        rate="upload",
        created="/v1/media/{media[id]}",
        grants=(_NAMED_TASK,),
    ),
    post("/v1/media/{id}/complete", CompleteUpload, scope="media:write", rate="upload", grants=(_ITS_TASK,)),
    get("/v1/media/{id}", GetMedia, scope="media:read", grants=(_ITS_TASK,)),
    delete("/v1/media/{id}", DeleteMedia, scope="media:write", grants=(_ITS_TASK,)),
    get("/v1/media/{id}/url", GetMediaUrl, scope="media:read", grants=(_ITS_TASK,)),
    get("/v1/tasks/{id}/attachments", ListAttachments, scope="tasks:read", grants=(_THIS_TASK,)),
)
