"""What can be asked of the media actor, and what it tells. The bytes of files never pass through messages."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from actors.contracts.values import Cursor, Id, Limit, Ticket, Time, Upload, Versions
from runtime.message import Command, Event, Grant, Page, Query, Secret

Visibility = Literal["private", "public"]
MediaStatus = Literal["pending", "ready", "rejected"]
Variant = Literal["original", "thumbnail"]
Expiry = Annotated[int, Meta(ge=1, le=604_800, description="a whole number of seconds from 1 to 604800")]

Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$(?!\n)", description="64 hex digits in lower case")]


class Media(msgspec.Struct, frozen=True, kw_only=True):
    """A file. Private: for who may see its task, or for its owner when it has none; public: for any signed-in user."""

    id: Id
    filename: str
    content_type: str
    size: int
    sha256: str | None
    visibility: Visibility
    status: MediaStatus
    width: int | None
    height: int | None
    owner_id: Id | None
    task_id: Id | None
    created_at: Time
    version: int


class OpenUpload(Command[Ticket], frozen=True, kw_only=True):
    """Leave to put a file into the object store. What nobody finishes is swept away."""


class FinishUpload(Command[Media], frozen=True, kw_only=True):
    """Upload a file of at most 25 MiB (a setting), by itself or for a task.

    What it is is read from its content: JPEG, PNG, GIF, WebP, PDF, ZIP, Office documents and plain texts, CSV and
    Markdown are taken, all else is refused with 415 `media.type_not_allowed`. Images are encoded anew, upright and
    without metadata; refuses `media.image_invalid`: broken, or over 25 megapixels. Refuses a task that the caller does
    not see, `auth.forbidden`, `task.deleted` and `quota.exceeded`. Reads the grant `task` on `task_id`.
    """

    upload: Upload
    visibility: Visibility = "private"
    task_id: Id | None = None


class CancelUpload(Command[None], frozen=True, kw_only=True):
    """Nothing comes of a ticket: forget it, and what was put there."""

    id: Id


class UploadAddress(msgspec.Struct, frozen=True, kw_only=True):
    """A request that puts the bytes of a file into the object store; `headers` must be sent as they are."""

    method: Literal["PUT"] = "PUT"
    url: Secret
    headers: dict[str, str]
    expires_at: Time


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is awaited, and where it is."""

    media: Media
    upload: UploadAddress


class BeginUpload(Command[Begun], frozen=True, kw_only=True):
    """Announce a file that goes straight into the object store; at most 1 GiB (a setting).

    The answer says where to PUT its bytes, within an hour, and then `complete` is called, within a day. Refuses
    `media.type_not_allowed`, `request.too_large`, `quota.exceeded`, a task that the caller does not see,
    `auth.forbidden` and `task.deleted`. Reads the grant `task` on `task_id`.
    """

    filename: Annotated[str, Meta(max_length=10_000, description="a text")]
    content_type: Annotated[str, Meta(max_length=255, description="a media type, such as image/png")]
    size: Annotated[int, Meta(ge=0, description="a whole number of bytes")]
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$(?!\n)", description="64 hex digits in lower case")] | None = (
        None
    )
    visibility: Visibility = "private"
    task_id: Id | None = None


class CompleteUpload(Command[Media], frozen=True, kw_only=True):
    """The bytes of an announced file are there: look at them, and let it be ready. Again is no error.

    Size, type or digest unlike what was announced, or no bytes: 422 `media.mismatch`; a broken image: 422
    `media.image_invalid`; the file is then rejected for good. Refuses `media.not_found`, `auth.forbidden`,
    `task.deleted` and `quota.exceeded`. Reads the grant `task` on its task.
    """

    id: Id


class GetUploadTicket(Query[Ticket], frozen=True, kw_only=True):
    """For the edge, once it has checked a signed address to PUT to. Refuses `media.not_found`."""

    id: Id


class GetMedia(Query[Media], frozen=True, kw_only=True):
    """What is known of a file. Refuses `media.not_found`. Reads the grant `task` on its task."""

    id: Id


class DeleteMedia(Command[None], frozen=True, kw_only=True):
    """Remove a file: its uploader or an owner of its project may.

    Refuses `media.not_found`, `auth.forbidden`, `task.deleted` and `request.precondition_failed`.
    Reads the grant `task` on its task.
    """

    id: Id
    if_match: Versions = None


class MediaUrl(msgspec.Struct, frozen=True, kw_only=True):
    """An address that lets whoever has it GET a file until it expires."""

    url: str
    expires_at: Time


class GetMediaUrl(Query[MediaUrl], frozen=True, kw_only=True):
    """An absolute address of a file's bytes, good for `expires_in` seconds, also when access ends before.

    An image has a thumbnail soon after its upload: WebP, at most 512 pixels. Refuses `media.not_found`, also of the
    thumbnail of what is no image, and `media.not_ready`. Reads the grant `task` on its task.
    """

    id: Id
    expires_in: Expiry = 300
    variant: Variant = "original"


class ListAttachments(Query[Page[Media]], frozen=True, kw_only=True):
    """The files of a task, newest first. Refuses `task.not_found`. Reads the grant `task` on it."""

    id: Id
    limit: Limit = 50
    cursor: Cursor | None = None


class ListRecentMedia(Query[list[Media]], frozen=True, kw_only=True):
    """The caller's own newest files."""

    limit: Limit = 10


class VouchForAvatar(Query[Grant], frozen=True, kw_only=True):
    """A grant `avatar` on a file that is a public image of the caller's own: its value is the address, in UTF-8, that
    shows it to anyone as a square of 256 pixels.

    The address ends in the number of pixels; 128 and 64 are there too. Refuses `media.not_found`.
    """

    media_id: Id


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What access to a file hangs on."""

    task_id: Id | None


class GetSubject(Query[Subject], frozen=True, kw_only=True):
    """The task of a file, for the edge, which then asks the task's actor. Refuses `media.not_found`."""

    id: Id


class RenderImage(Command[None], frozen=True, kw_only=True):
    """Make smaller ones of an image that was uploaded; what the media actor tells itself."""

    id: Id


class StoredFile(msgspec.Struct, frozen=True, kw_only=True):
    """Where a file's bytes are, and what goes before them in an answer.

    :param key: of the object.
    :param etag: its SHA-256.
    :param disposition: the header `Content-Disposition`.
    """

    key: str
    size: int
    etag: str
    content_type: str
    disposition: str


class GetStoredFile(Query[StoredFile], frozen=True, kw_only=True):
    """For the edge, once it has checked a signed address. Refuses `media.not_found`."""

    id: Id
    variant: str = "original"


class RemoveObjects(Command[None], frozen=True, kw_only=True):
    """Delete objects that nothing refers to any more; what the media actor tells itself.

    :param folders: with all that is in them.
    :param unfinished: also what broken uploads left in the object store.
    """

    keys: list[str] = []
    unfinished: bool = False
    folders: list[str] = []


class RemoveFiles(Command[None], frozen=True, kw_only=True):
    """Remove all files of tasks, or of an account, that are gone for good; what the media actor tells itself.

    :param owner_id: whose files without a task are removed; those of tasks stay and lose their owner.
    """

    task_ids: list[Id] = []
    owner_id: Id | None = None


class Attachments(msgspec.Struct, frozen=True, kw_only=True):
    """How many files a task has; a greater version is newer."""

    task_id: Id
    files: int
    version: int


class MediaAttached(Event, frozen=True, kw_only=True):
    """A file was attached to a task."""

    consumers: ClassVar[tuple[str, ...]] = ("task",)

    media: Media
    attachments: Attachments
    actor_id: Id | None
    at: Time


class ImportedFileRefused(Event, frozen=True, kw_only=True):
    """A file that came with an import is none that may be kept. :param line: of the import's file."""

    consumers: ClassVar[tuple[str, ...]] = ("task",)

    import_id: Id
    line: int
    filename: str
    detail: str


class MediaDeleted(Event, frozen=True, kw_only=True):
    """A file was removed; `attachments` when it had a task."""

    consumers: ClassVar[tuple[str, ...]] = ("task",)

    media: Media
    attachments: Attachments | None
    actor_id: Id | None
    at: Time


class AttachmentsCounted(Event, frozen=True, kw_only=True):
    """How many files a task has, told again for an actor that lost its copy."""

    consumers: ClassVar[tuple[str, ...]] = ("task",)

    attachments: Attachments
