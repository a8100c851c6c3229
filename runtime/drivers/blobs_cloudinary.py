"""Objects in Cloudinary, over its HTTP API (cloudinary.com/documentation: Upload API, Admin API, signatures).

An object is an asset of the kind `raw`, delivered as `authenticated`: kept as it is, and shown to nobody without a
signature. Its public id is the key, below a folder of ours. Bytes are fetched from the API and not from the CDN, where
copies of what was deleted or replaced would be served on. Cloudinary takes no empty file, so each begins with one byte
that is not the object's; what type it has lies beside it, as context.

Uploads, renames and deletions are not counted by Cloudinary. Looking things up is (`info`, `list`: the Admin API, by
the plan 500 or 2000 an hour), so nothing else does that.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import IO, Any, ClassVar, Literal, TypeVar
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import aiohttp
import msgspec

from runtime.context import system_clock
from runtime.drivers.blob_keys import check_key, check_prefix
from runtime.drivers.blob_parts import Parts
from runtime.errors import BlobsAway, SettingError
from runtime.ports import BlobInfo, Blobs, LocalFile, UploadUrl

T = TypeVar("T")

_API = "https://api.cloudinary.com"
_DELIVERY = "authenticated"
_SPENT = {420, 429}
_FIRST = b"\0"
_PART = 6 << 20
"""Bytes of a part: Cloudinary wants at least 5 MiB of all but the last."""

_PIECE = 256 << 10
_SIDE_BY_SIDE = 16
_PAGE = 500
_DOWNLOAD_S = 300
_READ_TIMEOUT_S = 30.0
_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,49}")


class Cloud(msgspec.Struct, frozen=True):
    """Where the objects are, and who we are there.

    :param folder: what stands before each key; other assets of that cloud are not looked at.
    :param api: address of the API: another one for clouds in Europe or Asia.
    """

    name: str
    folder: str
    key: str
    secret: str
    api: str
    connect_timeout_s: float


class _Context(msgspec.Struct):
    custom: dict[str, str] = {}


class _Asset(msgspec.Struct):
    """What Cloudinary says of an asset. :ivar version: the second since the epoch at which it was uploaded."""

    public_id: str
    bytes: int
    version: int
    etag: str = ""
    context: _Context | None = None


class _Page(msgspec.Struct):
    resources: list[_Asset]
    next_cursor: str | None = None


class _Destroyed(msgspec.Struct):
    result: Literal["ok", "not found"]


def connect(url: str) -> Blobs:
    """`cloudinary://key:secret@cloud/folder?upload_prefix=https://api-eu.cloudinary.com`.

    Folder (`troupe`) and options may be left out; so far it is what Cloudinary shows as CLOUDINARY_URL.
    `connect_timeout_s` is 1.5.

    :raises SettingError: something is missing, or unknown.
    """
    parts = urlsplit(url)
    options = {"upload_prefix": _API, "connect_timeout_s": "1.5"}
    for option in filter(None, parts.query.split("&")):
        name, _, value = option.partition("=")
        if name not in options:
            raise SettingError(f"the object store's URL has an unknown option {name!r}; there are {', '.join(options)}")
        options[name] = unquote(value)
    folder = parts.path.strip("/") or "troupe"
    if not (parts.username and parts.password and parts.hostname and _FOLDER.fullmatch(folder)):
        raise SettingError("the object store's URL must be like cloudinary://key:secret@cloud or …@cloud/folder")
    api = options["upload_prefix"].rstrip("/")
    if urlsplit(api).scheme not in {"http", "https"} or not urlsplit(api).hostname:
        raise SettingError("the object store's upload_prefix must be like https://api-eu.cloudinary.com")
    try:
        connect_timeout_s = float(options["connect_timeout_s"])
    except ValueError:
        raise SettingError("the object store's connect_timeout_s must be a number of seconds") from None
    name = parts.netloc.rpartition("@")[2]  # as it is written: a host name would be in lower case
    return CloudinaryBlobs(
        Cloud(name, folder, unquote(parts.username), unquote(parts.password), api, connect_timeout_s)
    )


class CloudinaryBlobs:
    """Holds at most a piece of each object that is written or read; a part that is being gathered lies in a file.

    It cannot fetch a part of an object alone: `get` reads from the first byte on, and passes over what is not wanted.
    """

    lacks: ClassVar[frozenset[str]] = frozenset({"local_files", "signed_urls", "ranges", "sweep"})

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._folder = cloud.folder + "/"
        self._api = f"{cloud.api}/v1_1/{cloud.name}"
        self._http: aiohttp.ClientSession

    async def open(self) -> None:
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=self._cloud.connect_timeout_s, sock_read=_READ_TIMEOUT_S
        )
        self._http = aiohttp.ClientSession(timeout=timeout)
        try:
            await self.ping()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        await self._http.close()

    async def ping(self) -> None:
        """Deletes what cannot be there: the call for it, `ping`, is one of those that are counted."""
        await self._destroy(".ping")

    async def put(self, key: str, chunks: AsyncIterator[bytes], *, content_type: str) -> BlobInfo:
        check_key(key)
        escaped = re.sub("([=|])", r"\\\1", content_type)
        wanted = {"public_id": self._folder + key, "overwrite": "true", "context": f"content_type={escaped}"}
        upload, start = uuid4().hex, 0
        with Parts(_marked(chunks), _PART) as parts:
            while True:
                size = await parts.next()
                end = start + size
                headers = {}
                if start or not parts.last:
                    total = end if parts.last else -1
                    headers = {"X-Unique-Upload-Id": upload, "Content-Range": f"bytes {start}-{end - 1}/{total}"}
                answer = await self._post("upload", wanted, file=parts.file, headers=headers)
                if parts.last:
                    break
                start = end
        stored = _decoded(answer, _Asset)
        return BlobInfo(key, stored.bytes - len(_FIRST), stored.etag, content_type, system_clock())

    async def get(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        check_key(key)
        expires = system_clock() // 1000 + _DOWNLOAD_S
        wanted = self._signed({"public_id": self._folder + key, "expires_at": str(expires)})
        at = -len(_FIRST)
        async with self._asked("GET", "raw/download", params=wanted) as answer:
            if answer is None:
                raise KeyError(key)
            async for piece in answer.content.iter_chunked(_PIECE):
                if end is not None and at >= end:
                    return
                if part := piece[max(0, start - at) : None if end is None else end - at]:
                    yield part
                at += len(piece)

    async def local_file(self, key: str) -> LocalFile | None:
        return None

    async def info(self, key: str) -> BlobInfo | None:
        check_key(key)
        async with self._looked_up(f"/{self._folder}{key}", {}) as answer:
            if answer is None:
                return None
            found = _decoded(await answer.read(), _Asset)
        content_type = "" if found.context is None else found.context.custom.get("content_type", "")
        return self._info(found, content_type)

    async def move(self, source: str, target: str) -> None:
        check_key(source)
        check_key(target)
        wanted = {
            "from_public_id": self._folder + source,
            "to_public_id": self._folder + target,
            "overwrite": "true",
            "invalidate": "true",
        }
        if await self._post("rename", wanted) is None:
            raise KeyError(source)

    async def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            check_key(key)
        for some in range(0, len(keys), _SIDE_BY_SIDE):
            await asyncio.gather(*(self._destroy(key) for key in keys[some : some + _SIDE_BY_SIDE]))

    async def list(self, prefix: str) -> AsyncIterator[BlobInfo]:
        check_prefix(prefix)
        wanted = {"prefix": self._folder + prefix, "max_results": str(_PAGE)}
        while True:
            async with self._looked_up("", wanted) as answer:
                page = _decoded(None if answer is None else await answer.read(), _Page)
            for found in page.resources:
                yield self._info(found, "")
            if page.next_cursor is None:
                return
            wanted["next_cursor"] = page.next_cursor

    async def sweep(self, *, older_than_ms: int) -> int:
        """Nothing: what came of an upload that broke off is Cloudinary's to forget, and shown by no call."""
        return 0

    def url(self, key: str, *, expires_s: int, answer: Mapping[str, str] | None = None) -> str | None:
        """None: its addresses end, but cannot say what type and name the file is to be answered with."""
        return None

    def upload_url(
        self, key: str, *, expires_s: int, size: int, content_type: str, sha256: str | None = None
    ) -> UploadUrl | None:
        return None

    def _info(self, found: _Asset, content_type: str) -> BlobInfo:
        key = found.public_id.removeprefix(self._folder)
        return BlobInfo(key, found.bytes - len(_FIRST), found.etag, content_type, found.version * 1000)

    async def _destroy(self, key: str) -> None:
        answer = await self._post("destroy", {"public_id": self._folder + key, "invalidate": "true"})
        _decoded(answer, _Destroyed)

    async def _post(
        self,
        action: str,
        wanted: Mapping[str, str],
        *,
        file: IO[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> bytes | None:
        """A signed call of the Upload API; its answer. None: what it is about is not there."""
        form = aiohttp.FormData(self._signed(wanted))
        if file is not None:
            form.add_field("file", file, filename="file", content_type="application/octet-stream")
        async with self._asked("POST", f"raw/{action}", data=form, headers=headers) as answer:
            return None if answer is None else await answer.read()

    def _looked_up(
        self, path: str, wanted: Mapping[str, str]
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse | None]:
        """A call of the Admin API. None: there is no such asset."""
        who = {"Authorization": aiohttp.encode_basic_auth(self._cloud.key, self._cloud.secret)}
        return self._asked("GET", f"resources/raw/{_DELIVERY}{path}", headers=who, params=wanted)

    @asynccontextmanager
    async def _asked(self, method: str, path: str, **options: Any) -> AsyncIterator[aiohttp.ClientResponse | None]:
        try:
            async with self._http.request(method, f"{self._api}/{path}", **options) as answer:
                if answer.status not in {200, 404}:
                    why = "no more calls this hour" if answer.status in _SPENT else f"HTTP {answer.status}"
                    raise BlobsAway(f"the object store does not answer as it should ({why})")
                yield answer if answer.status == 200 else None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise BlobsAway(f"the object store does not answer as it should ({type(error).__name__})") from error

    def _signed(self, wanted: Mapping[str, str]) -> dict[str, str]:
        """The parameters of a call with what proves that it is ours, for an hour."""
        signed = {**wanted, "type": _DELIVERY, "timestamp": str(system_clock() // 1000)}
        digest = hashlib.sha256((string_to_sign(signed) + self._cloud.secret).encode()).hexdigest()
        return {**signed, "signature": digest, "api_key": self._cloud.key}


def string_to_sign(wanted: Mapping[str, str]) -> str:
    """What a signature is the digest of, with the secret after it: a `&` in a value must not look like a next one."""
    return "&".join(f"{name}={value}".replace("&", "%26") for name, value in sorted(wanted.items()))


async def _marked(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield _FIRST
    async for chunk in chunks:
        yield chunk


def _decoded(answer: bytes | None, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(answer or b"", type=kind)
    except msgspec.DecodeError as error:
        raise BlobsAway("the object store does not answer as it should (not what is documented)") from error
