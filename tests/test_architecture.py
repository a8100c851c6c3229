"""Who may import whom, and other rules of the house. Each rule reads one file, and is shown to be able to fail."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[1]
HOUSE = ("runtime", "actors", "edge", "config")
PACKAGES = {*HOUSE, "runtime.drivers", "actors.contracts", "actors.records", "edge.routes"}

Rule = Callable[[PurePosixPath, str], Iterator[str]]
"""(path within the repository, text of the file) → what is wrong with it, a sentence each."""

VENDORS = {
    "aio_pika": {"amqp_wire"},
    "aiormq": {"amqp_wire"},
    "pamqp": {"amqp_wire"},
    "asyncpg": {"postgres_connection", "store_postgres"},
    "pymongo": {"mongo_contents", "mongo_documents", "mongo_transaction", "store_mongo"},
    "bson": {"mongo_documents"},
    "sqlite3": {"sqlite_connection", "store_sqlite"},
    "redis": {"cache_redis"},
    "aiobotocore": {"blobs_s3"},
    "botocore": {"blobs_s3"},
    "aiosmtplib": {"mail_smtp"},
}
"""Vendor library → the one driver that knows it, in its file or in those of its parts."""

THEIR_PARTS = {
    "yarl": {"amqp_wire", "post_http"},
    "aiohttp": {"blobs_s3", "blobs_cloudinary", "post_http", "text_twilio"},
    "types_aiobotocore_s3": {"blobs_s3"},
}
"""What vendor libraries bring along and show in their own interface."""

PARTS_OF_DRIVERS = {
    "amqp_link",
    "amqp_wire",
    "blob_keys",
    "blob_parts",
    "mail_message",
    "mongo_contents",
    "mongo_documents",
    "mongo_transaction",
    "postgres_connection",
    "sqlite_connection",
    "store_contents",
    "store_migrations",
    "store_pool",
    "store_rows",
    "store_tables",
    "text_check",
    "whole_files",
}
"""Modules of `runtime/drivers` that are no driver: drivers may import these, and never each other."""

WIRING = {"__main__", "actor_verbs", "app", "connect", "dead_verbs", "move", "ops", "verbs", "why"}
"""Modules of `runtime` that know the settings of this installation."""

THIRD_PARTY = {
    "runtime": {"cryptography", "msgspec", "prometheus_client", "structlog", "uvloop"},
    "runtime.drivers": {"msgspec", "structlog"},
    "actors": {"msgspec"},
    "edge": {"aiohttp", "icalendar", "jinja2", "jwt", "msgspec", "multidict", "multipart", "structlog"},
    "config": {"dotenv", "msgspec"},
}

OF_ONE_ACTOR = {
    "PIL": "actors/image_worker.py",
    "dateutil": "actors/recurrence.py",
    "argon2": "actors/passwords.py",
    "cryptography": "actors/tokens.py",
    "ijson": "actors/imports/json_elements.py",
    "jinja2": "actors/letters.py",
    "jwt": "actors/tokens.py",
    "phonenumbers": "actors/phones.py",
}
"""Library that one actor needs → the one file that knows it."""

SHARED_BY_ACTORS = {
    "actors.file_names",
    "actors.pages",
    "actors.records.parameters",
    "actors.records.words",
    "actors.requests",
}
"""Modules without rules of any actor: names of files, pages, the writing of SQL, and who asks for what version."""

LONGEST_FILE = 400
LONG_FOR_A_REASON = {"runtime/ports.py"}  # every promise of five ports in one place: mostly docstrings
NO_NAMES = {"utils", "util", "common", "helpers", "helper", "manager", "managers", "misc"}


def imports(source: str) -> Iterator[str]:
    """Every module that a file imports, wherever in it; relative ones begin with a dot."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            if module in PACKAGES:
                yield from (f"{module}.{alias.name}" for alias in node.names)
            else:
                yield module


def area(path: PurePosixPath) -> str:
    """The part of the house that a file belongs to, dotted."""
    return ".".join(path.parts[: 2 if ".".join(path.parts[:2]) in PACKAGES else 1])


def top(module: str) -> str:
    return module.partition(".")[0]


def first_word(name: str) -> str:
    return name.partition("_")[0]


# ------------------------------------------------------------------------------------------------- rules


def only_known_neighbours(path: PurePosixPath, source: str) -> Iterator[str]:
    """Modules of the house that a file may import."""
    here = area(path)
    for module in imports(source):
        if module.startswith("."):
            yield f"imports {module} relatively"
        elif top(module) in HOUSE and not may_import(here, path, module):
            yield f"imports {module}"


def may_import(here: str, path: PurePosixPath, module: str) -> bool:
    within = module.startswith
    if here == "runtime.drivers":
        neutral = {"runtime.ports", "runtime.message", "runtime.errors", "runtime.context"}
        return module in neutral | {f"runtime.drivers.{part}" for part in PARTS_OF_DRIVERS}
    if here == "runtime":
        if top(module) == "config":
            return path.stem in WIRING
        return top(module) == "runtime" and not within("runtime.drivers")
    if here == "actors.contracts":
        if within("actors.contracts.") and first_word(module.rpartition(".")[2]) == first_word(path.stem):
            return True  # of the same actor
        return module in {"runtime.message", "runtime.letters", "actors.contracts.values"}
    if here in {"actors", "actors.records"}:
        if top(module) == "runtime":
            return not within("runtime.drivers")
        return top(module) == "actors" and not module.endswith("_actor")
    if top(here) == "edge":
        if top(module) == "runtime":
            return not within("runtime.drivers")
        return top(module) in {"edge", "config"} or within("actors.contracts.")
    return module == "runtime.errors" or top(module) == here  # config


def only_known_libraries(path: PurePosixPath, source: str) -> Iterator[str]:
    """Third-party libraries that a file may import, and `sqlite3`, which counts as one."""
    here = area(path)
    allowed = THIRD_PARTY[here] if here in THIRD_PARTY else THIRD_PARTY[top(here)]
    for library in {top(module) for module in imports(source) if not module.startswith(".")}:
        if library in HOUSE or (library in sys.stdlib_module_names and library not in VENDORS):
            continue
        at_home = here == "runtime.drivers" and path.stem in (VENDORS | THEIR_PARTS).get(library, set())
        of_one_actor = str(path) == OF_ONE_ACTOR.get(library)
        if library not in allowed and not at_home and not of_one_actor:
            yield f"imports {library}"


def not_too_long(path: PurePosixPath, source: str) -> Iterator[str]:
    lines = len(source.splitlines())
    if lines > LONGEST_FILE and str(path) not in LONG_FOR_A_REASON:
        yield f"has {lines} lines, more than {LONGEST_FILE}"


def says_what_it_is_about(path: PurePosixPath, source: str) -> Iterator[str]:
    """A name of a module is a name of a thing."""
    for part in (*path.parts[:-1], path.stem):
        if NO_NAMES & set(part.split("_")):
            yield f"is named {part}"


def no_state_of_modules(path: PurePosixPath, source: str) -> Iterator[str]:
    """No variable that lives as long as the process: constants are in capitals and are not changed."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            yield f"line {node.lineno}: changes the global {', '.join(node.names)}"
    for statement in tree.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        for target in targets:
            if isinstance(target, ast.Name) and not target.id.isupper() and not target.id.startswith("__"):
                value = getattr(statement, "value", None)
                if is_mutable(value):
                    yield f"line {statement.lineno}: {target.id} is a variable of the module"


def is_mutable(value: ast.expr | None) -> bool:
    if isinstance(value, ast.Call):
        name = value.func.attr if isinstance(value.func, ast.Attribute) else getattr(value.func, "id", "")
        return name in {"list", "dict", "set", "bytearray", "defaultdict", "OrderedDict", "deque", "Counter", "count"}
    return isinstance(value, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp)


SQL = re.compile(
    r"\s*(select\s.*\sfrom\s|insert\s+into\s|update\s+\S+\s+set\s|delete\s+from\s"
    r"|(create|drop)\s+(unique\s+)?(table|index)\s|alter\s+table\s)",
    re.IGNORECASE | re.DOTALL,
)


def sql_at_home(path: PurePosixPath, source: str) -> Iterator[str]:
    """Statements are written in records and in the drivers of stores; `actors/migrations` holds no code."""
    if area(path) == "actors.records" or re.fullmatch(r"runtime/drivers/(store_\w+|\w+_connection)\.py", str(path)):
        return
    tree = ast.parse(source)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    fragments = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if id(node) in docstrings | fragments:
            continue
        if isinstance(node, ast.JoinedStr):
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        else:
            continue
        if SQL.match(text):
            yield f"line {node.lineno}: holds SQL: {text.strip()[:40]!r}"


RULES: list[Rule] = [
    only_known_neighbours,
    only_known_libraries,
    not_too_long,
    says_what_it_is_about,
    no_state_of_modules,
    sql_at_home,
]


def actors_apart(sources: Mapping[str, str]) -> Iterator[str]:
    """No two actors stand on one module, but for their contracts and a few that know no actor's rules.

    :param sources: dotted name → text of all modules of `actors`.
    """
    parts = {actor: reached_from(actor, sources) for actor in sources if actor.endswith("_actor")}
    for one, other in combinations(sorted(parts), 2):
        for module in sorted(parts[one] & parts[other] - SHARED_BY_ACTORS):
            yield f"{one} and {other} both use {module}"
    for shared in sorted(SHARED_BY_ACTORS & sources.keys()):
        for module in sorted(reached_from(shared, sources) - SHARED_BY_ACTORS):
            yield f"{shared} is shared by actors and uses {module}"


def reached_from(start: str, sources: Mapping[str, str]) -> set[str]:
    reached, waiting = set[str](), [start]
    while waiting:
        module = waiting.pop()
        if module in sources and module not in reached and not module.startswith("actors.contracts"):
            reached.add(module)
            waiting += imports(sources[module])
    return reached - {start}


# ----------------------------------------------------------------------------------------- in this house


def files() -> list[PurePosixPath]:
    found = (path for part in HOUSE for path in (ROOT / part).rglob("*.py"))
    return sorted(PurePosixPath(path.relative_to(ROOT).as_posix()) for path in found)


def text(path: PurePosixPath) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_file_keeps(rule: Rule) -> None:
    wrong = [f"{path} {complaint}" for path in files() for complaint in rule(path, text(path))]
    assert not wrong, "\n".join(wrong)


def test_actors_stand_apart() -> None:
    sources = {".".join(path.with_suffix("").parts): text(path) for path in files() if path.parts[0] == "actors"}
    assert {"actors.notify_actor", "actors.task_actor", "actors.user_actor"} <= sources.keys()
    assert list(actors_apart(sources)) == []


def test_every_exception_is_needed() -> None:
    drivers = {path.stem: set(map(top, imports(text(path)))) for path in files() if area(path) == "runtime.drivers"}
    assert drivers.keys() >= PARTS_OF_DRIVERS
    for library, homes in (VENDORS | THEIR_PARTS).items():
        assert {name for name, used in drivers.items() if library in used} == homes
    wired = {path.stem for path in files() if area(path) == "runtime" and "config" in map(top, imports(text(path)))}
    assert wired == WIRING
    for library, path_of_use in OF_ONE_ACTOR.items():
        assert library in map(top, imports(text(PurePosixPath(path_of_use))))


def test_a_process_that_uses_no_driver_imports_no_vendor_library() -> None:
    program = f"import sys, runtime.app, runtime.connect; print(*set(sys.modules) & {set(VENDORS) | {'aiohttp'}!r})"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


# -------------------------------------------------------------------------------------- rules can fail


@pytest.mark.parametrize(
    ("rule", "path", "source"),
    [
        (only_known_neighbours, "runtime/drivers/cache_memory.py", "from runtime.dispatch import Dispatch"),
        (only_known_neighbours, "runtime/drivers/cache_memory.py", "from runtime.drivers import cache_redis"),
        (only_known_neighbours, "runtime/drivers/cache_memory.py", "import config.settings"),
        (only_known_neighbours, "runtime/drivers/cache_memory.py", "from .cache_redis import connect"),
        (only_known_neighbours, "runtime/dispatch.py", "from runtime.drivers.store_sqlite import connect"),
        (only_known_neighbours, "runtime/dispatch.py", "def f():\n    from actors.contracts.task import CreateTask"),
        (only_known_neighbours, "runtime/dispatch.py", "from config.settings import Settings"),
        (only_known_neighbours, "runtime/app.py", "from edge import app"),
        (only_known_neighbours, "actors/contracts/task.py", "from runtime.errors import Invalid"),
        (only_known_neighbours, "actors/contracts/task.py", "from actors.contracts.user import UserView"),
        (only_known_neighbours, "actors/contracts/task_label.py", "from actors.contracts.user import UserView"),
        (only_known_neighbours, "actors/task_actor.py", "from actors.user_actor import UserActor"),
        (only_known_neighbours, "actors/task_actor.py", "from actors import user_actor"),
        (only_known_neighbours, "actors/records/task.py", "from edge.problems import problem"),
        (only_known_neighbours, "actors/records/task.py", "from runtime.drivers import store_sqlite"),
        (only_known_neighbours, "edge/routes/task.py", "from actors.records.task import TaskRecords"),
        (only_known_neighbours, "edge/app.py", "from actors import task_actor"),
        (only_known_neighbours, "config/settings.py", "from runtime.app import App"),
        (only_known_libraries, "runtime/drivers/cache_memory.py", "import redis.asyncio"),
        (only_known_libraries, "runtime/drivers/store_tables.py", "import sqlite3"),
        (only_known_libraries, "runtime/outbox.py", "import aio_pika"),
        (only_known_libraries, "actors/task_actor.py", "import argon2"),
        (only_known_libraries, "actors/notify_actor.py", "import jinja2"),
        (only_known_libraries, "actors/records/task.py", "import asyncpg"),
        (only_known_libraries, "actors/records/tokens.py", "import jwt"),
        (only_known_libraries, "edge/limits.py", "from redis import Redis"),
        (not_too_long, "edge/app.py", "\n" * 401),
        (says_what_it_is_about, "runtime/utils.py", ""),
        (says_what_it_is_about, "edge/common/body.py", ""),
        (says_what_it_is_about, "actors/task_helpers.py", ""),
        (no_state_of_modules, "edge/app.py", "cache = {}"),
        (no_state_of_modules, "edge/app.py", "_seen: set[str] = set()"),
        (no_state_of_modules, "edge/app.py", "pending = collections.deque()"),
        (no_state_of_modules, "edge/app.py", "N = 1\ndef f():\n    global N\n    N = 2"),
        (sql_at_home, "actors/task_actor.py", "q = 'select id from task where id = $1'"),
        (sql_at_home, "edge/app.py", "q = f'DELETE FROM {table} where id = 1'"),
        (sql_at_home, "runtime/outbox.py", "q = '''\n    update outbox\n    set x = 1'''"),
        (sql_at_home, "runtime/drivers/cache_memory.py", "f('insert into cache values (1)')"),
    ],
)
def test_a_rule_finds_what_is_against_it(rule: Rule, path: str, source: str) -> None:
    assert len(list(rule(PurePosixPath(path), source))) == 1


@pytest.mark.parametrize(
    ("rule", "path", "source"),
    [
        (only_known_neighbours, "runtime/drivers/mail_smtp.py", "from runtime.drivers.mail_message import render"),
        (only_known_neighbours, "runtime/app.py", "from config.settings import Settings\nfrom runtime import connect"),
        (only_known_neighbours, "actors/contracts/task_label.py", "from actors.contracts.task import Task"),
        (only_known_neighbours, "actors/task_actor.py", "from actors.contracts.user import UserRenamed"),
        (
            only_known_neighbours,
            "edge/routes/task.py",
            "from actors.contracts.task import CreateTask\nimport edge.route",
        ),
        (only_known_libraries, "runtime/drivers/cache_redis.py", "import redis, asyncio, msgspec"),
        (only_known_libraries, "actors/passwords.py", "import argon2"),
        (no_state_of_modules, "edge/app.py", "NAMES = {'a': 1}\n__all__ = ['a']\nlog = get_logger()\nt = (1, 2)"),
        (sql_at_home, "edge/app.py", "'''Select one from the list.'''\ns = 'select one of these'"),
        (sql_at_home, "actors/records/task.py", "q = 'select id from task'"),
    ],
)
def test_a_rule_lets_pass_what_keeps_it(rule: Rule, path: str, source: str) -> None:
    assert list(rule(PurePosixPath(path), source)) == []


def test_actors_that_share_a_module_are_found() -> None:
    sources = {
        "actors.task_actor": "from actors.records import task\nfrom actors.contracts.user import UserView",
        "actors.user_actor": "from actors.records.user import UserRecords\nfrom actors.contracts.user import UserView",
        "actors.records.task": "import actors.pages",
        "actors.records.user": "from actors.records.task import TaskRecords\nimport actors.pages",
        "actors.contracts.user": "",
        "actors.pages": "",
    }
    assert list(actors_apart(sources)) == ["actors.task_actor and actors.user_actor both use actors.records.task"]
    sources["actors.pages"] = "import actors.records.task"
    assert "actors.pages is shared by actors and uses actors.records.task" in list(actors_apart(sources))
