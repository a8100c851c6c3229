"""A server that answers as Cloudinary's API is documented to, and looks at each signature as documented.

Sources: cloudinary.com/documentation, "Upload API reference" (upload, chunked upload, rename, destroy, download),
"Admin API reference" (resources), "Generating authentication signatures".
"""

from __future__ import annotations

import hashlib
import hmac
import time
from base64 import b64decode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
from aiohttp import web

KEY, SECRET, CLOUD = "874837483274837", "a-secret_of/the tests", "Troupe-Tests"
PAGE_AT_MOST = 4
"""Cloudinary's is 500; here several pages are to be asked for."""

LEAST = 5 << 20
"""Bytes of each chunk of an upload but the last."""

UNSIGNED = {"file", "cloud_name", "resource_type", "api_key", "signature"}


class Asset(msgspec.Struct):
    """An uploaded file."""

    path: Path
    size: int
    etag: str
    version: int
    context: dict[str, str]

    def described(self, public_id: str, *, listed: bool = False) -> dict[str, Any]:
        """:param listed: lists have no digests, and no context unless asked for."""
        known = {
            "public_id": public_id,
            "version": self.version,
            "resource_type": "raw",
            "type": "authenticated",
            "bytes": self.size,
        }
        return known if listed else {**known, "etag": self.etag, "context": {"custom": self.context}}


class Cloudinary:
    """One cloud.

    :ivar assets: those that are `raw` and `authenticated`, by public id.
    :ivar counted: calls of the Admin API, which are limited.
    """

    def __init__(self, folder: Path) -> None:
        self.assets: dict[str, Asset] = {}
        self.counted = 0
        self.status: int | None = None
        self._folder = folder
        self._chunks: dict[str, Path] = {}

    def app(self) -> web.Application:
        app = web.Application(client_max_size=1 << 30, middlewares=[self._answered])
        app.router.add_post(f"/v1_1/{CLOUD}/raw/upload", self._upload)
        app.router.add_post(f"/v1_1/{CLOUD}/raw/rename", self._rename)
        app.router.add_post(f"/v1_1/{CLOUD}/raw/destroy", self._destroy)
        app.router.add_get(f"/v1_1/{CLOUD}/raw/download", self._download)
        app.router.add_get(f"/v1_1/{CLOUD}/resources/raw/authenticated", self._list)
        app.router.add_get(f"/v1_1/{CLOUD}/resources/raw/authenticated/{{id:.+}}", self._details)
        return app

    @web.middleware
    async def _answered(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if self.status is not None:
            return web.json_response({"error": {"message": "as the test wants it"}}, status=self.status)
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        wanted = checked(form)
        file = form["file"]
        assert isinstance(file, web.FileField)
        content = file.file.read()
        if not content:
            raise refusal(400, "Empty file")
        path, size, whole = self._gathered(request.headers, content)
        if not whole:
            return web.json_response({"done": False, "bytes": size})
        context = dict([pair(wanted["context"])] if "context" in wanted else [])
        with path.open("rb") as stored:
            etag = hashlib.file_digest(stored, "md5").hexdigest()
        if wanted["public_id"] in self.assets and wanted.get("overwrite") != "true":
            raise refusal(400, "already exists")
        self.assets[wanted["public_id"]] = asset = Asset(path, size, etag, int(time.time()), context)
        return web.json_response(asset.described(wanted["public_id"]))

    def _gathered(self, headers: Mapping[str, str], content: bytes) -> tuple[Path, int, bool]:
        """Where the upload lies, its size so far, and whether that is all."""
        content_range = headers.get("Content-Range")
        upload = headers["X-Unique-Upload-Id"] if content_range else uuid4().hex
        path = self._chunks.setdefault(upload, self._folder / uuid4().hex)
        before = path.stat().st_size if path.exists() else 0
        size, total = before + len(content), before + len(content)
        if content_range:
            unit, _, numbers = content_range.partition(" ")
            span, _, known = numbers.partition("/")
            total = int(known)
            if unit != "bytes" or span != f"{before}-{size - 1}" or total not in {-1, size}:
                raise refusal(400, f"Invalid Content-Range: {content_range}")
            if total == -1 and len(content) < LEAST:
                raise refusal(400, "All parts except EOF-chunk must be larger than 5mb")
        with path.open("ab") as file:
            file.write(content)
        return path, size, total == size

    async def _rename(self, request: web.Request) -> web.Response:
        wanted = checked(await request.post())
        source, target = wanted["from_public_id"], wanted["to_public_id"]
        if source not in self.assets:
            raise refusal(404, f"Resource not found - {source}")
        if target in self.assets and wanted.get("overwrite") != "true":
            raise refusal(400, f"to_public_id({target}) already exists")
        self.assets[target] = self.assets.pop(source)
        return web.json_response(self.assets[target].described(target))

    async def _destroy(self, request: web.Request) -> web.Response:
        wanted = checked(await request.post())
        gone = self.assets.pop(wanted["public_id"], None)
        return web.json_response({"result": "not found" if gone is None else "ok"})

    async def _download(self, request: web.Request) -> web.StreamResponse:
        """The whole, whatever range is asked for: none is documented."""
        wanted = checked(request.query)
        if int(wanted["expires_at"]) < time.time():
            raise refusal(401, "the link has expired")
        asset = self.assets.get(wanted["public_id"])
        if asset is None:
            raise refusal(404, "Resource not found")
        answer = web.StreamResponse()
        answer.content_length = asset.size
        with asset.path.open("rb") as file:
            await answer.prepare(request)
            while piece := file.read(1 << 16):
                await answer.write(piece)
        return answer

    async def _details(self, request: web.Request) -> web.Response:
        self._counted(request)
        public_id = request.match_info["id"]
        if public_id not in self.assets:
            raise refusal(404, f"Resource not found - {public_id}")
        return web.json_response(self.assets[public_id].described(public_id))

    async def _list(self, request: web.Request) -> web.Response:
        self._counted(request)
        prefix, after = request.query["prefix"], request.query.get("next_cursor", "")
        ids = sorted(each for each in self.assets if each.startswith(prefix) and each > after)
        page = ids[: min(PAGE_AT_MOST, int(request.query["max_results"]))]
        answer: dict[str, Any] = {"resources": [self.assets[each].described(each, listed=True) for each in page]}
        if len(ids) > len(page):
            answer["next_cursor"] = page[-1]
        return web.json_response(answer)

    def _counted(self, request: web.Request) -> None:
        self.counted += 1
        scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Basic" or b64decode(credentials).decode() != f"{KEY}:{SECRET}":
            raise refusal(401, "unknown api_key")


def checked(sent: Mapping[str, Any]) -> dict[str, str]:
    """The parameters of a signed call.

    All but `UNSIGNED` are put together as `name=value`, by name, with `&` between them and as `%26` in them, then the
    secret; the signature is the SHA-1 or SHA-256 digest of that in hex, and counts for an hour.
    """
    wanted = {name: value for name, value in sent.items() if name not in UNSIGNED}
    text = "&".join(f"{name}={wanted[name]}".replace("&", "%26") for name in sorted(wanted))
    right = hashlib.sha256((text + SECRET).encode()).hexdigest()
    if sent.get("api_key") != KEY or not hmac.compare_digest(str(sent.get("signature")), right):
        raise refusal(401, f"Invalid Signature {sent.get('signature')}. String to sign - '{text}'.")
    if abs(time.time() - int(wanted["timestamp"])) > 3600:
        raise refusal(401, "Stale request")
    if wanted.get("type") != "authenticated":
        raise refusal(404, "the tests know no other kind")
    return wanted


def pair(context: str) -> tuple[str, str]:
    """`name=value`, where `=` and `|` in the value stand behind a backslash."""
    name, _, value = context.partition("=")
    return name, value.replace("\\=", "=").replace("\\|", "|")


def refusal(status: int, message: str) -> web.HTTPException:
    """As Cloudinary words it."""
    kinds: dict[int, type[web.HTTPException]] = {
        400: web.HTTPBadRequest,
        401: web.HTTPUnauthorized,
        404: web.HTTPNotFound,
    }
    body = msgspec.json.encode({"error": {"message": message}}).decode()
    return kinds[status](text=body, content_type="application/json")


@asynccontextmanager
async def cloudinary_server(folder: Path, port: int) -> AsyncIterator[Cloudinary]:
    """A cloud whose files lie in a folder."""
    cloud = Cloudinary(folder)
    runner = web.AppRunner(cloud.app(), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield cloud
    finally:
        await runner.cleanup()


def cloudinary_url(port: int) -> str:
    """The address of that server's cloud."""
    return f"cloudinary://{KEY}:{SECRET.replace('/', '%2F').replace(' ', '%20')}@{CLOUD}?upload_prefix=http://127.0.0.1:{port}"
