"""Every setting, typed, with its default and a word on it; read once at boot, by nobody but `runtime.__main__`.

A setting is an environment variable of the field's name in capitals. Precedence: command line, environment, `.env`
in the working directory, profile (`config/profiles/<name>.env`), default.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from dotenv import dotenv_values
from msgspec import Meta

from runtime.errors import SettingError

PROFILES = Path(__file__).parent / "profiles"

DEVELOPMENT_KEY = "development-key-that-everyone-knows"
"""SECRET_KEY where `compose.yaml` is run without one."""

_PUBLISHED = re.compile("guest|.*development.*")
"""Passwords that stand in this repository."""

_PASSWORD = re.compile(r"(?<=://)([^/@:]*):([^/@]+)(?=@)")
"""User and password of each address in a URL, or in several."""

Port = Annotated[int, Meta(ge=0, le=65535)]
Hidden = Annotated[str, Meta(extra={"secret": True})]


def _about(text: str) -> Meta:
    return Meta(description=text)


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an installation can choose. Each description ends up in `.env.example` and `python -m runtime check`."""

    troupe_env: Annotated[
        Literal["development", "production"], _about("`production` refuses default secrets and test hooks.")
    ] = "development"
    var_dir: Annotated[str, _about("Where relative embedded paths begin.")] = "var"

    broker_url: Annotated[
        str, _about("`memory:` (one process) or `amqp://user:password@host:5672/`; several hosts with commas.")
    ] = "memory:"
    broker_prefix: Annotated[
        str,
        Meta(
            pattern=r"^[a-z0-9][a-z0-9_-]{0,40}$",
            description="Begins every queue's name: installations can share a broker.",
        ),
    ] = "troupe"
    request_queue_type: Annotated[
        Literal["classic", "quorum"], _about("`quorum` keeps requests through the loss of a broker node, at a price.")
    ] = "classic"
    store_urls: Annotated[
        dict[str, str],
        _about(
            "`<ACTOR>_STORE_URL`: `sqlite:<actor>.db` (one host) or `postgresql://user:password@host/database`; "
            "for accounts also `mongodb://`."
        ),
    ] = {}
    store_read_urls: Annotated[
        dict[str, str], _about("`<ACTOR>_STORE_READ_URL`: a replica of the database, for queries.")
    ] = {}
    store_pool: Annotated[
        int, Meta(ge=2, le=200, description="Connections to PostgreSQL, per actor and process; two are for reads.")
    ] = 10
    cache_url: Annotated[str, _about("`memory:`, `redis://host:6379/0` or `redis+sentinel://…`.")] = "memory:"
    blob_url: Annotated[str, _about("`file:media`, `s3://bucket?endpoint=…` or `cloudinary://key:secret@cloud`.")] = (
        "file:media"
    )
    mail_url: Annotated[str, _about("`file:mail`, `smtp://`, `smtps://` or `smtp+starttls://user:password@host`.")] = (
        "file:mail"
    )
    mail_from: Annotated[str, _about("The sender of all mail.")] = "troupe@localhost"
    sms_url: Annotated[str, _about("`file:sms` or `twilio://sid:token@+4930123456`.")] = "file:sms"
    sms_per_day: Annotated[int, Meta(ge=0, description="Text messages to one number a day, at most.")] = 10

    secret_key: Annotated[
        Hidden,
        _about("Master secret, at least 32 characters. Made and kept under VAR_DIR when embedded, required otherwise."),
    ] = ""
    signed_url_keys: Annotated[
        str,
        Meta(
            pattern=r"^[a-z0-9]{1,20}(,[a-z0-9]{1,20})*$",
            description="Names of the keys of signed addresses, all derived from SECRET_KEY: the first one signs.",
        ),
    ] = "1"
    actor_key: Annotated[
        Hidden,
        _about("Instead of SECRET_KEY for a process of one actor: `python -m runtime actor-key NAME` prints it."),
    ] = ""

    admin_email: Annotated[
        str, _about("Of the first admin, who is made with ADMIN_PASSWORD if nobody has this address.")
    ] = ""
    admin_password: Annotated[Hidden, _about("Of the first admin: 8 to 256 characters.")] = ""

    edge_host: Annotated[str, _about("Where the HTTP API listens.")] = "127.0.0.1"
    edge_port: Annotated[Port, _about("0 takes a free one and prints it.")] = 8080
    ops_port: Annotated[Port, _about("Health and metrics of a process without the edge; 0 for none.")] = 0
    public_url: Annotated[str, _about("How clients reach the edge; links in mails and the tokens' issuer.")] = ""
    rate_limits: Annotated[
        str, _about("`off`, or changes to the defaults: `read=1200/60,write=600/60` (count/seconds).")
    ] = ""
    media_base_url: Annotated[
        str, _about("Another origin that leads to the edge, for the addresses of files that it serves itself.")
    ] = ""
    upload_limit: Annotated[int, Meta(ge=1, description="Bytes of a file in one upload through the edge, at most.")] = (
        25 * 1024 * 1024
    )
    direct_upload_limit: Annotated[
        int, Meta(ge=1, description="Bytes of a file that is put straight into the object store, at most.")
    ] = 1024**3
    media_types: Annotated[
        str, _about("Types of files that are taken, comma-separated; empty: all that are known.")
    ] = ""
    quota_media_bytes_per_user: Annotated[
        int, Meta(ge=0, description="Bytes of all files of one account together, at most.")
    ] = 10 * 1024**3
    quota_projects_per_user: Annotated[int, Meta(ge=0, description="Projects that one account may create.")] = 1000
    quota_tasks_per_project: Annotated[int, Meta(ge=0, description="Tasks of one project, its trash included.")] = (
        1_000_000
    )
    quota_comments_per_task: Annotated[int, Meta(ge=0, description="Comments on one task.")] = 10_000
    import_limit: Annotated[int, Meta(ge=1, description="Bytes of a file of tasks to import, at most.")] = (
        100 * 1024 * 1024
    )
    body_limit: Annotated[int, Meta(ge=1024, description="Bytes of a JSON body, at most.")] = 8 * 1024 * 1024
    deadline_max_s: Annotated[float, Meta(gt=0, le=300, description="What `Prefer: wait=N` can ask for, at most.")] = (
        30.0
    )
    trusted_proxies: Annotated[str, _about("CIDRs, comma-separated, whose X-Forwarded-For counts.")] = ""
    cors_origins: Annotated[str, _about("Origins, comma-separated, that browsers may call from.")] = ""
    webhook_allowed_networks: Annotated[
        str, _about("CIDRs, comma-separated, that webhooks may reach though they are not public.")
    ] = ""
    metrics_token: Annotated[Hidden, _about("When set, `/metrics` wants it as a Bearer token.")] = ""

    in_flight: Annotated[int, Meta(ge=1, description="Requests that one actor works on at a time, per process.")] = 512
    argon2: Annotated[
        str, Meta(pattern=r"^\d+,\d+,\d+$", description="Password hashing: KiB of memory, passes, lanes.")
    ] = "19456,2,1"

    log_format: Annotated[Literal["json", "console", "auto"], _about("`auto`: readable on a terminal, else JSON.")] = (
        "auto"
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], _about("What is logged at least.")] = "info"
    crash_at: Annotated[
        str, _about("A test hook: `message_type:seam` kills the process there once. Refused in production.")
    ] = ""

    def store_url(self, actor: str) -> str:
        """Where an actor keeps its data."""
        return self.store_urls.get(actor) or self.embedded_path(f"sqlite:{actor}.db")

    def embedded_path(self, url: str) -> str:
        """`sqlite:` and `file:` URLs with a relative path, from VAR_DIR on; others as they are."""
        scheme, _, path = url.partition(":")
        if scheme not in ("sqlite", "file") or path.startswith("/"):
            return url
        var = Path(self.var_dir)
        return f"{scheme}:{path if Path(path).is_relative_to(var) else var / path}"

    @property
    def origin(self) -> str:
        """PUBLIC_URL without a slash at its end, or the address that the edge listens on."""
        return self.public_url.rstrip("/") or f"http://{self.edge_host}:{self.edge_port}"

    @property
    def media_origin(self) -> str:
        """Where clients fetch files that the edge serves: MEDIA_BASE_URL, or the origin."""
        return self.media_base_url.rstrip("/") or self.origin


_PER_ACTOR = re.compile(r"^(?P<actor>[A-Z][A-Z0-9]*)_STORE(?P<read>_READ)?_URL$")


def settings_fields() -> list[msgspec.structs.FieldInfo]:
    """The settings that have one name; those per actor (`<ACTOR>_STORE_URL`) are not among them."""
    return [each for each in msgspec.structs.fields(Settings) if each.name not in ("store_urls", "store_read_urls")]


def names() -> list[str]:
    """Every setting's name, as it is written in the environment."""
    return [field.name.upper() for field in settings_fields()]


def load(
    flags: Mapping[str, str],
    *,
    environment: Mapping[str, str] = os.environ,
    file: Path = Path(".env"),
    profile: str | None = None,
) -> Settings:
    """All sources merged and checked.

    :raises SettingError: every wrong or unknown one by name, with what would be right.
    """
    known = set(names())
    lines = _file(file)
    chosen = profile or environment.get("TROUPE_PROFILE") or lines.pop("TROUPE_PROFILE", None)
    base = _profile(chosen) if chosen else {}
    faults = [_unknown(name, known) for name in (*base, *lines) if name not in known and not _PER_ACTOR.match(name)]
    values: dict[str, Any] = {}
    stores: dict[str, str] = {}
    replicas: dict[str, str] = {}
    for source in (base, lines, environment, flags):
        for name, text in source.items():
            if name in known and text != "":
                values[name.lower()] = text
            elif (match := _PER_ACTOR.match(name)) and text:
                (replicas if match["read"] else stores)[match["actor"].lower()] = text
    settings = Settings(store_urls=stores, store_read_urls=replicas)
    for field in settings_fields():
        if field.name not in values:
            continue
        try:
            value = msgspec.convert(values[field.name], field.type, strict=False)
        except msgspec.ValidationError as error:
            faults.append(f"{field.name.upper()}={_masked(field, values[field.name])}: {_plain(error)}. {about(field)}")
        else:
            settings = msgspec.structs.replace(settings, **{field.name: value})
    faults += _contradictions(settings)
    if faults:
        raise SettingError("\n".join(faults))
    return settings


def load_alone(name: str) -> Settings:
    """What a file says, or a profile, and nothing else: of an installation that is not the one of this environment.

    :raises SettingError: there is neither; or as `load`.
    """
    path = Path(name)
    if path.is_file():
        return load({}, environment={}, file=path)
    if not (PROFILES / f"{name}.env").is_file():
        raise SettingError(f"{name} is neither a file of settings (lines as in .env) nor a profile ({_profiles()})")
    return load({}, environment={}, file=path, profile=name)


def _contradictions(settings: Settings) -> Iterable[str]:
    if settings.troupe_env == "production":
        yield from _unfit_for_production(settings)
    if settings.secret_key and len(settings.secret_key) < 32:
        yield "SECRET_KEY is too short: at least 32 characters, `openssl rand -hex 32` makes one"
    if settings.admin_email and not ("@" in settings.admin_email and 8 <= len(settings.admin_password) <= 256):
        yield "ADMIN_EMAIL must be an e-mail address, with ADMIN_PASSWORD of 8 to 256 characters beside it"
    for name in ("trusted_proxies", "webhook_allowed_networks"):
        for cidr in filter(None, getattr(settings, name).split(",")):
            try:
                ipaddress.ip_network(cidr.strip())
            except ValueError:
                yield f"{name.upper()}: {cidr.strip()!r} is no network; right would be 10.0.0.0/8,::1/128"
    for name, url in (("PUBLIC_URL", settings.public_url), ("MEDIA_BASE_URL", settings.media_base_url)):
        if url and urlsplit(url).scheme not in ("http", "https"):
            yield f"{name}={url}: must begin with http:// or https://"


def _unfit_for_production(settings: Settings) -> Iterable[str]:
    if settings.crash_at:
        yield "CRASH_AT is a test hook and is refused while TROUPE_ENV=production"
    here = urlsplit(settings.public_url).hostname in {None, "localhost", "127.0.0.1", "::1"}
    if here and settings.broker_url != "memory:":
        yield "PUBLIC_URL must be set while TROUPE_ENV=production: the address that clients use, https://tasks.example.org"
    if settings.secret_key == DEVELOPMENT_KEY:
        yield "SECRET_KEY is the public one of development: `openssl rand -hex 32` makes one of your own"
    urls = {
        name: getattr(settings, name.lower()) for name in ("BROKER_URL", "CACHE_URL", "BLOB_URL", "MAIL_URL", "SMS_URL")
    }
    urls |= {f"{actor.upper()}_STORE_URL": url for actor, url in settings.store_urls.items()}
    urls |= {f"{actor.upper()}_STORE_READ_URL": url for actor, url in settings.store_read_urls.items()}
    for name, url in urls.items():
        if any(_PUBLISHED.fullmatch(password) for _, password in _PASSWORD.findall(url)):
            yield f"{name}={without_password(url)}: this password is public and is refused while TROUPE_ENV=production"


def _file(path: Path) -> dict[str, str]:
    return {name: value or "" for name, value in dotenv_values(path).items()} if path.is_file() else {}


def _profile(name: str) -> dict[str, str]:
    path = PROFILES / f"{name}.env"
    if not path.is_file():
        raise SettingError(f"there is no profile {name!r}; there are: {_profiles()}")
    return _file(path)


def _profiles() -> str:
    return ", ".join(sorted(each.stem for each in PROFILES.glob("*.env")))


def _unknown(name: str, known: set[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"{name} is no setting of ours" + (
        f"; did you mean {near[0]}?" if near else "; `.env.example` lists them all"
    )


def _plain(error: Exception) -> str:
    return str(error).replace("`", "'")


def about(field: msgspec.structs.FieldInfo) -> str:
    """The description of a setting."""
    metas = getattr(field.type, "__metadata__", ())
    return next((meta.description for meta in metas if isinstance(meta, Meta) and meta.description), "")


def is_secret(field: msgspec.structs.FieldInfo) -> bool:
    """Whether a setting's value must never be shown."""
    return any(
        (meta.extra or {}).get("secret") for meta in getattr(field.type, "__metadata__", ()) if isinstance(meta, Meta)
    )


def _masked(field: msgspec.structs.FieldInfo, value: str) -> str:
    return "***" if is_secret(field) else without_password(value)


def without_password(url: str) -> str:
    """A URL, or several, whose passwords are replaced by `***`."""
    return _PASSWORD.sub(r"\1:***", url)
