"""`python -m runtime import FILE`: tasks out of a file, as `POST /v1/imports` takes them, for somebody with an account.

It works beside a running installation and without one. Cut short, it goes on when a process of the actor runs.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Final, get_args

import msgspec

from actors.contracts.task_import import CancelImport, GetImport, Import, ImportFormat, OpenImport, StartImport
from actors.contracts.user_admin import FindUser
from actors.contracts.values import Ticket, Upload
from config.settings import Settings
from runtime import connect
from runtime.actor_verbs import asked
from runtime.dispatch import Dispatch
from runtime.errands import Errands
from runtime.errors import SettingError, TroupeError
from runtime.faults import fields_of, in_object
from runtime.late_blobs import LateBlobs
from runtime.message import Caller
from runtime.progress import Bar
from runtime.verbs import Subparsers, dispatch_of

SOME_TASKS_WERE_NOT_TAKEN: Final = 1
PIECE: Final = 256 << 10
POLL_S: Final = 0.25
NOTHING: Final = "00000000-0000-0000-0000-000000000000"
"""Instead of the file's id, until it has one."""


def add_import_verb(verbs: Subparsers) -> None:
    """Add its parser."""
    verb = verbs.add_parser(
        "import",
        help="take tasks from a file of another task manager",
        description="Take tasks from a file, as POST /v1/imports does: the same file again makes nothing twice. What "
        "cannot be read is told with its line. It can run beside an installation, and without.",
        epilog="Exit codes: 0 all tasks are there; 1 some were not taken, or none, since it failed; 2 a wrong argument "
        "or setting; 130 cut short: it goes on when Troupe runs.",
    )
    verb.add_argument("file", metavar="FILE", type=Path)
    verb.add_argument("--as", dest="person", metavar="EMAIL", required=True, help="whose tasks they become")
    verb.add_argument("--format", required=True, choices=get_args(ImportFormat))
    verb.add_argument("--project", metavar="ID", help="where they go; by default a project is made")
    verb.add_argument(
        "--mapping",
        metavar="JSON",
        default="{}",
        help='names in the file and what they are here: {"Doing": "in_progress"}',
    )
    verb.add_argument("--dry-run", action="store_true", help="make nothing, and count")
    verb.set_defaults(verb=import_file)


async def import_file(settings: Settings, arguments: argparse.Namespace) -> int:
    """Say what became of it. :raises SettingError: no such file, or not such arguments. :raises TroupeError: the no."""
    wanted = _wanted(arguments)
    caller = await _caller(settings, arguments.person)
    errands = Errands("task")
    blobs = LateBlobs(connect.blobs(settings))
    try:
        async with dispatch_of(settings, "task", offer=errands.offer) as dispatch:
            with _opened(arguments.file) as file:
                ticket = await asked(dispatch, OpenImport(), caller)
                try:
                    await _send(file, arguments.file, ticket, blobs)
                    upload = Upload(id=ticket.id, filename=arguments.file.name)
                    begun = await asked(dispatch, msgspec.structs.replace(wanted, upload=upload), caller)
                except BaseException:
                    with suppress(TroupeError):
                        await asked(dispatch, CancelImport(id=ticket.id), caller)
                        await errands.step(dispatch)
                    raise
            return _told(await _ended(begun, dispatch, errands, caller), arguments.file)
    finally:
        await blobs.close()


def _wanted(arguments: argparse.Namespace) -> StartImport:
    """All but the file."""
    try:
        mapping = msgspec.json.decode(arguments.mapping)
    except msgspec.DecodeError as error:
        raise SettingError(f'--mapping must be a JSON object, as {{"Doing": "in_progress"}}: {error}') from None
    fields: dict[str, Any] = {
        "upload": {"id": NOTHING, "filename": arguments.file.name},
        "format": arguments.format,
        "project_id": arguments.project,
        "mapping": mapping,
        "dry_run": arguments.dry_run,
    }
    if faults := list(in_object(fields, fields_of(StartImport))):
        raise SettingError("; ".join(f"{fault.pointer[1:]} {fault.detail}" for fault in faults))
    return msgspec.convert(fields, StartImport)


async def _caller(settings: Settings, email: str) -> Caller:
    async with dispatch_of(settings, "user") as dispatch:
        user = await asked(dispatch, FindUser(email=email))
    if user.status != "active":
        raise TroupeError(f"the account of {email} is {user.status}")
    return Caller(id=user.id, role=user.role)


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise SettingError(f"{path}: {error.strerror}") from None


async def _send(file: BinaryIO, path: Path, ticket: Ticket, blobs: LateBlobs) -> None:
    size = (await asyncio.to_thread(path.stat)).st_size
    if size > ticket.limit:
        raise SettingError(f"{path} has {size} bytes; IMPORT_LIMIT is {ticket.limit}")
    bar = Bar(size, "bytes sent")

    async def pieces() -> AsyncIterator[bytes]:
        while piece := await asyncio.to_thread(file.read, PIECE):
            yield piece
            bar.advance(len(piece))

    await blobs.put(ticket.key, pieces(), content_type="application/octet-stream")
    bar.end()


async def _ended(begun: Import, dispatch: Dispatch, errands: Errands, caller: Caller) -> Import:
    """The import when it has, and its files are gone. Others may do some of its steps, or all."""
    bar, found = None, begun
    while True:
        busy = await errands.step(dispatch)
        before, found = found.done, await asked(dispatch, GetImport(id=begun.id), caller)
        if bar is None and found.total:
            bar = Bar(found.total, "tasks")
            before = 0
        if bar is not None:
            bar.advance(found.done - before)
        if busy:
            continue
        if found.status in ("done", "failed"):
            break
        await asyncio.sleep(POLL_S)
    if bar is not None:
        bar.end()
    return found


def _told(found: Import, path: Path) -> int:
    for fault in found.errors:
        print(f"{path}:{fault.line}: {fault.detail}", file=sys.stderr)
    lost = found.total - found.created - found.skipped
    words = (
        f"{found.created} {'would be' if found.dry_run else ''} made, {found.skipped} there already, {lost} not taken"
    )
    where = f", in project {found.project_id}" if found.project_id else ""
    print(f"{found.status}: {found.total} tasks, {' '.join(words.split())}{where}")
    return 0 if found.status == "done" and not found.errors else SOME_TASKS_WERE_NOT_TAKEN
