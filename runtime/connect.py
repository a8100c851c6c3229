"""URL scheme → driver. A driver's module, and with it its vendor library, is imported only when it is used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from config.settings import Settings, without_password
from runtime.context import Clock
from runtime.errors import SettingError
from runtime.ports import Blobs, Broker, Cache, Mailer, Poster, Store, Texter

BROKERS = {"memory": "broker_memory", "amqp": "broker_amqp", "amqps": "broker_amqp"}
STORES = {
    "sqlite": "store_sqlite",
    "postgresql": "store_postgres",
    "postgres": "store_postgres",
    "mongodb": "store_mongo",
    "mongodb+srv": "store_mongo",
}
CACHES = {
    "memory": "cache_memory",
    "redis": "cache_redis",
    "rediss": "cache_redis",
    "redis+sentinel": "cache_redis",
}
BLOBS = {"file": "blobs_files", "s3": "blobs_s3", "cloudinary": "blobs_cloudinary"}
MAILERS = {"file": "mail_files", "smtp": "mail_smtp", "smtps": "mail_smtp", "smtp+starttls": "mail_smtp"}

TEXTERS = {"file": "text_files", "twilio": "text_twilio"}


def scheme(url: str) -> str:
    """What stands before the first colon."""
    return url.partition(":")[0]


def _driver(setting: str, url: str, drivers: dict[str, str]) -> Any:
    name = drivers.get(scheme(url))
    if name is None:
        right = ", ".join(f"{each}:" for each in drivers)
        raise SettingError(f"{setting}={without_password(url)}: there is no driver for this; it can begin with {right}")
    return import_module(f"runtime.drivers.{name}")


def broker(settings: Settings) -> Broker:
    """:raises SettingError: no driver for that scheme (likewise below)."""
    driver = _driver("BROKER_URL", settings.broker_url, BROKERS)
    made: Broker = driver.connect(
        settings.broker_url, prefix=settings.broker_prefix, request_queue_type=settings.request_queue_type
    )
    return made


def store(settings: Settings, actor: str, clock: Clock) -> Store:
    """The store of one actor."""
    url = settings.embedded_path(settings.store_url(actor))
    return store_at(url, actor, clock, read_url=settings.store_read_urls.get(actor), pool_size=settings.store_pool)


def store_at(url: str, actor: str, clock: Clock, *, read_url: str | None = None, pool_size: int = 10) -> Store:
    """Likewise, at an address that is known already."""
    driver = _driver(f"{actor.upper()}_STORE_URL", url, STORES)
    made: Store = driver.connect(url, actor=actor, clock=clock, read_url=read_url, pool_size=pool_size)
    return made


def cache(settings: Settings, clock: Clock) -> Cache:
    """The cache that all actors share."""
    driver = _driver("CACHE_URL", settings.cache_url, CACHES)
    made: Cache = driver.connect(settings.cache_url, prefix=settings.broker_prefix, clock=clock)
    return made


def blobs(settings: Settings) -> Blobs:
    """The object store."""
    url = settings.embedded_path(settings.blob_url)
    made: Blobs = _driver("BLOB_URL", url, BLOBS).connect(url)
    return made


def mailer(settings: Settings) -> Mailer:
    """Outgoing mail."""
    url = settings.embedded_path(settings.mail_url)
    made: Mailer = _driver("MAIL_URL", url, MAILERS).connect(url, sender=settings.mail_from)
    return made


def texter(settings: Settings) -> Texter:
    """Outgoing text messages."""
    url = settings.embedded_path(settings.sms_url)
    made: Texter = _driver("SMS_URL", url, TEXTERS).connect(url)
    return made


def poster(settings: Settings) -> Poster:
    """What webhooks are sent with."""
    made: Poster = import_module("runtime.drivers.post_http").connect(settings.webhook_allowed_networks)
    return made
