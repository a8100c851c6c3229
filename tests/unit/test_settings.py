"""Every setting, typed: where it comes from, what is said of a wrong one, and what is never shown."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from config.settings import (
    DEVELOPMENT_KEY,
    Settings,
    about,
    is_secret,
    load,
    names,
    settings_fields,
    without_password,
)
from runtime.errors import SettingError

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / ".env.example"


def loaded(
    folder: Path,
    *,
    flags: dict[str, str] | None = None,
    environment: dict[str, str] | None = None,
    file: str = "",
    profile: str | None = None,
) -> Settings:
    (folder / ".env").write_text(file)
    return load(flags or {}, environment=environment or {}, file=folder / ".env", profile=profile)


def test_flags_win_over_environment_over_file_over_profile_over_default(tmp_path: Path) -> None:
    """The profile `cluster` has OPS_PORT=8081."""
    flags, environment, file = {"OPS_PORT": "4"}, {"OPS_PORT": "3"}, "OPS_PORT=2"
    assert loaded(tmp_path).ops_port == 0
    assert loaded(tmp_path, profile="cluster").ops_port == 8081
    assert loaded(tmp_path, profile="cluster", file=file).ops_port == 2
    assert loaded(tmp_path, profile="cluster", file=file, environment=environment).ops_port == 3
    assert loaded(tmp_path, profile="cluster", file=file, environment=environment, flags=flags).ops_port == 4


def test_a_profile_is_named_by_flag_environment_or_file(tmp_path: Path) -> None:
    assert loaded(tmp_path, environment={"TROUPE_PROFILE": "cluster"}).ops_port == 8081
    assert loaded(tmp_path, file="TROUPE_PROFILE=cluster").ops_port == 8081
    with pytest.raises(SettingError, match=r"no profile 'clusters'; there are: cluster, embedded, servers"):
        loaded(tmp_path, profile="clusters")


@pytest.mark.parametrize("profile", ["cluster", "embedded", "servers"])
def test_each_profile_is_right(tmp_path: Path, profile: str) -> None:
    environment = {"PUBLIC_URL": "https://tasks.example.org"}
    assert isinstance(loaded(tmp_path, profile=profile, environment=environment), Settings)


def test_an_empty_value_is_as_if_it_were_not_there(tmp_path: Path) -> None:
    assert loaded(tmp_path, file="EDGE_PORT=\nTASK_STORE_URL=").edge_port == 8080


def test_each_actor_has_its_own_store_and_replica(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path,
        file="TASK_STORE_URL=postgresql://file/\nUSER_STORE_URL=postgresql://u/",
        environment={"TASK_STORE_URL": "postgresql://t/", "TASK_STORE_READ_URL": "postgresql://r/"},
    )
    assert (settings.store_url("task"), settings.store_url("user")) == ("postgresql://t/", "postgresql://u/")
    assert settings.store_read_urls == {"task": "postgresql://r/"}


def test_relative_embedded_paths_begin_in_var_dir(tmp_path: Path) -> None:
    settings = loaded(tmp_path, file="VAR_DIR=/srv/troupe\nUSER_STORE_URL=sqlite:u.db\nMEDIA_STORE_URL=sqlite:/m.db")
    assert settings.store_url("task") == "sqlite:/srv/troupe/task.db"
    assert settings.embedded_path(settings.store_url("user")) == "sqlite:/srv/troupe/u.db"
    assert settings.embedded_path(settings.store_url("media")) == "sqlite:/m.db"
    assert settings.embedded_path("file:media") == "file:/srv/troupe/media"
    assert settings.embedded_path("s3://bucket") == "s3://bucket"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("EDGE_PORT=eighty", r"EDGE_PORT=eighty: .*int.*0 takes a free one"),
        ("EDGE_PORT=70000", r"EDGE_PORT=70000: .*<= 65535"),
        ("LOG_FORMAT=xml", r"LOG_FORMAT=xml: .*'xml'.*readable on a terminal"),
        ("BROKER_PREFIX=UPPER", r"BROKER_PREFIX=UPPER: "),
        ("ARGON2=much", r"ARGON2=much: .*KiB of memory"),
        ("STORE_POOL=1", r"STORE_POOL=1: .*>= 2"),
        ("DEADLINE_MAX_S=1e9", r"DEADLINE_MAX_S=1e9: .*<= 300"),
        ("SECRET_KEY=short", r"SECRET_KEY is too short: at least 32 characters"),
        ("TRUSTED_PROXIES=10.0.0.0/8,proxy", r"TRUSTED_PROXIES: 'proxy' is no network; right would be 10\.0\.0\.0/8"),
        ("PUBLIC_URL=tasks.example.org", r"PUBLIC_URL=tasks.example.org: must begin with http"),
        ("TROUPE_ENV=production\nCRASH_AT=add:before", r"CRASH_AT is a test hook and is refused"),
        ("TROUPE_ENV=production\nBROKER_URL=amqp://h/", r"PUBLIC_URL must be set"),
        ("EDGE_PROT=1", r"EDGE_PROT is no setting of ours; did you mean EDGE_PORT\?"),
        ("QUITE_UNKNOWN=1", r"QUITE_UNKNOWN is no setting of ours; `\.env\.example` lists them all"),
        ("STORE_URLS=x", r"STORE_URLS is no setting of ours"),
    ],
)
def test_a_wrong_or_unknown_setting_is_named_with_what_would_be_right(tmp_path: Path, line: str, says: str) -> None:
    with pytest.raises(SettingError, match=says):
        loaded(tmp_path, file=line)


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingError) as caught:
        loaded(tmp_path, file="EDGE_PORT=x\nLOG_LEVEL=y\nNOWHERE=z")
    assert [line.split("=")[0].split(" ")[0] for line in str(caught.value).splitlines()] == [
        "NOWHERE",
        "EDGE_PORT",
        "LOG_LEVEL",
    ]


def test_what_is_unknown_in_the_environment_is_another_program_s(tmp_path: Path) -> None:
    assert loaded(tmp_path, environment={"EDGE_PROT": "1", "PATH": "/bin"}) == Settings()


def test_a_wrong_secret_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(SettingError) as caught:
        loaded(tmp_path, file="SECRET_KEY=canary\nBROKER_PREFIX=amqp://u:canary@h")
    assert "canary" not in str(caught.value)


PRODUCTION = {"TROUPE_ENV": "production", "PUBLIC_URL": "https://tasks.example.org", "SECRET_KEY": "k" * 32}


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("SECRET_KEY", DEVELOPMENT_KEY, r"^SECRET_KEY is the public one of development"),
        ("BROKER_URL", "amqp://guest:guest@h/", r"^BROKER_URL=amqp://guest:\*\*\*@h/: this password is public"),
        ("BROKER_URL", "amqp://u:development@h:5672,i:5672/", r"^BROKER_URL="),
        ("USER_STORE_URL", "postgresql://u:development@h/d", r"^USER_STORE_URL="),
        ("TASK_STORE_READ_URL", "postgresql://u:development@h/d", r"^TASK_STORE_READ_URL="),
        ("CACHE_URL", "redis://:development@h/0", r"^CACHE_URL="),
        ("BLOB_URL", "s3://b?endpoint=http://u:development@h:9000", r"^BLOB_URL="),
        ("MAIL_URL", "smtp://u:development@h", r"^MAIL_URL="),
    ],
)
def test_what_this_repository_publishes_is_no_secret_of_production(
    tmp_path: Path, name: str, value: str, says: str
) -> None:
    with pytest.raises(SettingError, match=says) as caught:
        loaded(tmp_path, environment={**PRODUCTION, name: value})
    assert len(str(caught.value).splitlines()) == 1
    assert loaded(tmp_path, environment={name: value})


@pytest.mark.parametrize("url", ["", "http://localhost:8080", "http://127.0.0.1", "https://[::1]/"])
def test_clients_of_production_are_elsewhere(tmp_path: Path, url: str) -> None:
    environment = {**PRODUCTION, "BROKER_URL": "amqp://h/"}
    assert loaded(tmp_path, environment=environment)
    with pytest.raises(SettingError, match=r"^PUBLIC_URL must be set while TROUPE_ENV=production"):
        loaded(tmp_path, environment={**environment, "PUBLIC_URL": url})


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("amqp://u:p@h:5672,i:5672/", "amqp://u:***@h:5672,i:5672/"),
        ("redis://:p@h/0", "redis://:***@h/0"),
        ("s3://b?endpoint=http://key:sec@h:1", "s3://b?endpoint=http://key:***@h:1"),
        ("postgresql://u@h:5432/d", "postgresql://u@h:5432/d"),
        ("smtp://u:p%40:x@h", "smtp://u:***@h"),
        ("sqlite:task.db", "sqlite:task.db"),
        ("memory:", "memory:"),
    ],
)
def test_passwords_in_urls_are_not_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown


def test_secrets_are_marked() -> None:
    assert {field.name for field in settings_fields() if is_secret(field)} == {
        "secret_key",
        "actor_key",
        "admin_password",
        "metrics_token",
    }


def test_every_setting_says_what_it_is() -> None:
    for field in settings_fields():
        assert about(field).endswith((".", "`")), field.name


# ------------------------------------------------------------------------------------------- .env.example


def test_the_example_lists_every_setting_exactly_and_once() -> None:
    listed = re.findall(r"^#?([A-Z][A-Z0-9_]*)=", EXAMPLE.read_text(), re.MULTILINE)
    per_actor = [name for name in listed if re.search(r"_STORE(_READ)?_URL$", name)]
    assert sorted(set(listed) - set(per_actor) - {"TROUPE_PROFILE"}) == sorted(names())
    assert len(listed) == len(set(listed))
    assert per_actor


def test_the_example_shows_the_defaults() -> None:
    shown = dict(re.findall(r"^#([A-Z][A-Z0-9_]*)=(.*)$", EXAMPLE.read_text(), re.MULTILINE))
    for field in settings_fields():
        default = field.default
        text = "" if default == "" else f"{default:g}" if isinstance(default, float) else str(default)
        assert shown[field.name.upper()] == text, field.name


def test_the_example_is_right_as_it_is_and_uncommented(tmp_path: Path) -> None:
    text = EXAMPLE.read_text()
    assert loaded(tmp_path, file=text) == Settings()
    uncommented = re.sub(r"^#([A-Z][A-Z0-9_]*=)", r"\1", text, flags=re.MULTILINE)
    assert msgspec.structs.replace(loaded(tmp_path, file=uncommented), store_urls={}, store_read_urls={}) == Settings()
