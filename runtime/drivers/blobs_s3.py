"""Objects in S3 or anything that speaks it (MinIO, Ceph, R2, Garage), through aiobotocore.

The bucket is addressed by path and made when it is missing. Everything is sent as plain signed requests: botocore's
newer default of trailing checksums breaks many other servers.
"""

from __future__ import annotations

import asyncio
import os
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import unquote, urlsplit

import msgspec
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from aiohttp import ClientError as HttpError  # aiobotocore lets its transport's errors through while a body is read
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError

from runtime.context import system_clock
from runtime.drivers.blob_keys import check_key, check_prefix
from runtime.drivers.blob_parts import Parts
from runtime.errors import BlobsAway, SettingError
from runtime.ports import BlobInfo, Blobs, LocalFile, UploadUrl

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client
    from types_aiobotocore_s3.type_defs import CompletedPartTypeDef, GetObjectRequestTypeDef

_PART = 5 << 20
"""Bytes of a part: the least that S3 takes for all but the last; some servers want all of one size. At most 10 000
parts make an object of at most 48 GiB."""

_PIECE = 256 << 10
_MISSING = {"NoSuchKey", "404"}
_SIDE_BY_SIDE = 16
_READ_TIMEOUT_S = 20.0


class Bucket(msgspec.Struct, frozen=True):
    """Where the objects are, and who we are there.

    :param public_endpoint: how clients reach the store; signed addresses are made for it.
    :param connect_timeout_s: for each of two attempts; botocore waits up to a second between them.
    """

    name: str
    endpoint: str
    public_endpoint: str
    region: str
    key: str
    secret: str
    token: str | None
    connect_timeout_s: float


def connect(url: str) -> Blobs:
    """`s3://bucket?endpoint=http://key:secret@host:9000&public_endpoint=https://media.example.org&region=eu-central-1`.

    All options may be left out: the endpoint is then Amazon's in that region, the region `us-east-1`, and the
    credentials those of AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN. A `/` in a secret is
    written as `%2F`. `connect_timeout_s` (0.5) is for each of two attempts.

    :raises SettingError: an unknown option, no bucket, no credentials.
    """
    parts = urlsplit(url)
    options = {"endpoint": "", "public_endpoint": "", "region": "us-east-1", "connect_timeout_s": "0.5"}
    for option in filter(None, parts.query.split("&")):
        name, _, value = option.partition("=")
        if name not in options:
            raise SettingError(f"the object store's URL has an unknown option {name!r}; there are {', '.join(options)}")
        # an address may stand there as it is, and its secret may hold a %2F that must stay one until it is split
        options[name] = value if "://" in value else unquote(value)
    if not parts.hostname or parts.path.strip("/"):
        raise SettingError("the object store's URL must be like s3://bucket?endpoint=http://key:secret@host:9000")
    address = urlsplit(options["endpoint"] or f"https://s3.{options['region']}.amazonaws.com")
    key = unquote(address.username or "") or os.environ.get("AWS_ACCESS_KEY_ID", "")
    secret = unquote(address.password or "") or os.environ.get("AWS_SECRET_ACCESS_KEY", "")
    if address.scheme not in {"http", "https"} or not address.hostname:
        raise SettingError("the object store's endpoint must be like http://key:secret@host:9000")
    if not key or not secret:
        raise SettingError("the object store needs credentials: in its endpoint, or AWS_ACCESS_KEY_ID and …SECRET…")
    endpoint = f"{address.scheme}://{address.netloc.rpartition('@')[2]}{address.path.rstrip('/')}"
    try:
        connect_timeout_s = float(options["connect_timeout_s"])
    except ValueError:
        raise SettingError("the object store's connect_timeout_s must be a number of seconds") from None
    return S3Blobs(
        Bucket(
            name=parts.netloc,
            endpoint=endpoint,
            public_endpoint=options["public_endpoint"].rstrip("/") or endpoint,
            region=options["region"],
            key=key,
            secret=secret,
            token=None if address.username else os.environ.get("AWS_SESSION_TOKEN"),
            connect_timeout_s=connect_timeout_s,
        )
    )


class S3Blobs:
    """Holds at most a piece of each object that is written or read; a part that is being gathered lies in a file."""

    lacks: ClassVar[frozenset[str]] = frozenset({"local_files"})

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._opened = AsyncExitStack()
        self._client: S3Client

    async def open(self) -> None:
        bucket = self._bucket
        self._client = await self._opened.enter_async_context(
            get_session().create_client(
                "s3",
                region_name=bucket.region,
                endpoint_url=bucket.endpoint,
                aws_access_key_id=bucket.key,
                aws_secret_access_key=bucket.secret,
                aws_session_token=bucket.token,
                config=AioConfig(
                    connect_timeout=bucket.connect_timeout_s,
                    read_timeout=_READ_TIMEOUT_S,
                    retries={"total_max_attempts": 2, "mode": "standard"},
                    max_pool_connections=50,
                    s3={"addressing_style": "path"},
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                ),
            )
        )
        try:
            await self._make_bucket()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        await self._opened.aclose()

    async def ping(self) -> None:
        with _translated():
            await self._client.head_bucket(Bucket=self._bucket.name)

    async def put(self, key: str, chunks: AsyncIterator[bytes], *, content_type: str) -> BlobInfo:
        check_key(key)
        with Parts(chunks, _PART) as parts:
            return await self._put(key, parts, content_type)

    async def _put(self, key: str, parts: Parts, content_type: str) -> BlobInfo:
        size = await parts.next()
        if size < _PART:
            with _translated():
                stored = await self._client.put_object(
                    Bucket=self._bucket.name, Key=key, Body=parts.file, ContentLength=size, ContentType=content_type
                )
            return _info(key, size, stored["ETag"], content_type, system_clock())
        with _translated():
            upload = await self._client.create_multipart_upload(
                Bucket=self._bucket.name, Key=key, ContentType=content_type
            )
        try:
            return await self._put_parts(key, upload["UploadId"], size, parts, content_type)
        except BaseException:
            with suppress(BlobsAway):  # then `sweep` removes it
                await self._abort(key, upload["UploadId"])
            raise

    async def get(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        check_key(key)
        wanted: GetObjectRequestTypeDef = {"Bucket": self._bucket.name, "Key": key}
        if start or end is not None:
            found = await self.info(key)  # not all servers cut a range that goes beyond the end
            if found is None:
                raise KeyError(key)
            end = found.size if end is None else min(end, found.size)
            if start >= end:
                return
            wanted["Range"] = f"bytes={start}-{end - 1}"
        with _translated():
            try:
                answer = await self._client.get_object(**wanted)
            except ClientError as error:
                if _code(error) in _MISSING:
                    raise KeyError(key) from None
                raise
            async with answer["Body"] as body:
                async for piece in body.iter_chunks(_PIECE):
                    yield piece

    async def local_file(self, key: str) -> LocalFile | None:
        return None

    async def info(self, key: str) -> BlobInfo | None:
        check_key(key)
        with _translated():
            try:
                head = await self._client.head_object(Bucket=self._bucket.name, Key=key)
            except ClientError as error:
                if _code(error) in _MISSING:
                    return None
                raise
        return _info(key, head["ContentLength"], head["ETag"], head["ContentType"], _ms(head["LastModified"]))

    async def move(self, source: str, target: str) -> None:
        """Copied by the store itself, then deleted; at most 5 GiB."""
        check_key(source)
        check_key(target)
        bucket = self._bucket.name
        with _translated():
            try:
                await self._client.copy_object(Bucket=bucket, Key=target, CopySource={"Bucket": bucket, "Key": source})
            except ClientError as error:
                if _code(error) in _MISSING:
                    raise KeyError(source) from None
                raise
            await self._client.delete_object(Bucket=bucket, Key=source)

    async def delete(self, keys: Sequence[str]) -> None:
        """One by one, some side by side: for deleting many in one request botocore sends a checksum that older
        servers refuse."""
        for key in keys:
            check_key(key)
        for some in range(0, len(keys), _SIDE_BY_SIDE):
            with _translated():
                await asyncio.gather(
                    *(
                        self._client.delete_object(Bucket=self._bucket.name, Key=key)
                        for key in keys[some : some + _SIDE_BY_SIDE]
                    )
                )

    async def list(self, prefix: str) -> AsyncIterator[BlobInfo]:
        check_prefix(prefix)
        with _translated():
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket.name, Prefix=prefix)
            async for page in pages:
                for blob in page.get("Contents", []):
                    yield _info(blob["Key"], blob["Size"], blob["ETag"], "", _ms(blob["LastModified"]))

    async def sweep(self, *, older_than_ms: int) -> int:
        before = system_clock() - older_than_ms
        old: list[tuple[str, str]] = []
        with _translated():
            async for page in self._client.get_paginator("list_multipart_uploads").paginate(Bucket=self._bucket.name):
                old += [
                    (upload["Key"], upload["UploadId"])
                    for upload in page.get("Uploads", [])
                    if _ms(upload["Initiated"]) <= before
                ]
        for key, upload_id in old:
            await self._abort(key, upload_id)
        return len(old)

    def url(self, key: str, *, expires_s: int, answer: Mapping[str, str] | None = None) -> str | None:
        check_key(key)
        overrides = {f"response-{name.lower()}": value for name, value in (answer or {}).items()}
        return self._signed(AWSRequest("GET", self._address(key), params=overrides), expires_s)

    def upload_url(
        self, key: str, *, expires_s: int, size: int, content_type: str, sha256: str | None = None
    ) -> UploadUrl | None:
        check_key(key)
        headers = {"Content-Type": content_type, "Content-Length": str(size)}
        if sha256 is not None:
            headers["x-amz-checksum-sha256"] = b64encode(bytes.fromhex(sha256)).decode()
        return UploadUrl(self._signed(AWSRequest("PUT", self._address(key), headers=headers), expires_s), headers)

    def _address(self, key: str) -> str:
        return f"{self._bucket.public_endpoint}/{self._bucket.name}/{key}"

    def _signed(self, request: AWSRequest, expires_s: int) -> str:
        bucket = self._bucket
        credentials = Credentials(bucket.key, bucket.secret, bucket.token)
        S3SigV4QueryAuth(credentials, "s3", bucket.region, expires=expires_s).add_auth(request)
        return str(request.url)

    async def _make_bucket(self) -> None:
        with _translated():
            try:
                await self._client.head_bucket(Bucket=self._bucket.name)
            except ClientError as error:
                if _code(error) not in _MISSING:
                    raise
                await self._client.create_bucket(Bucket=self._bucket.name)

    async def _put_parts(self, key: str, upload_id: str, first: int, parts: Parts, content_type: str) -> BlobInfo:
        done: list[CompletedPartTypeDef] = []
        total, size = 0, first
        while size:
            number = len(done) + 1
            with _translated():
                sent = await self._client.upload_part(
                    Bucket=self._bucket.name,
                    Key=key,
                    UploadId=upload_id,
                    PartNumber=number,
                    Body=parts.file,
                    ContentLength=size,
                )
            done.append({"PartNumber": number, "ETag": sent["ETag"]})
            total += size
            size = await parts.next()
        with _translated():
            stored = await self._client.complete_multipart_upload(
                Bucket=self._bucket.name, Key=key, UploadId=upload_id, MultipartUpload={"Parts": done}
            )
        return _info(key, total, stored["ETag"], content_type, system_clock())

    async def _abort(self, key: str, upload_id: str) -> None:
        with _translated():
            try:
                await self._client.abort_multipart_upload(Bucket=self._bucket.name, Key=key, UploadId=upload_id)
            except ClientError as error:
                if _code(error) != "NoSuchUpload":  # another process was faster
                    raise


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (ClientError, BotoCoreError, HttpError) as error:
        reason = _code(error) if isinstance(error, ClientError) else type(error).__name__
        raise BlobsAway(f"the object store does not answer as it should ({reason})") from error


def _code(error: ClientError) -> str:
    return error.response["Error"]["Code"]


def _info(key: str, size: int, etag: str, content_type: str, modified_at: int) -> BlobInfo:
    return BlobInfo(key, size, etag.strip('"'), content_type, modified_at)


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
