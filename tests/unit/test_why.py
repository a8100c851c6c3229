"""The story of a request: a tree of what was handled, with what waits and what failed."""

from __future__ import annotations

from runtime.keys import Sealer
from runtime.message import Failed, Ok, encode
from runtime.ports import About, Handled, History, Outgoing, ParkedRow
from runtime.why import Story

SEALERS = {name: Sealer(name.encode() * 8) for name in ("task", "notify", "user")}
EMPTY = History([], [], [])


def handled(id: str, about: About, reply: Ok | Failed | None = None, *, at: int = 0) -> Handled:
    sealed = None if reply is None else SEALERS["task"].wrap(encode(reply), secret=True)
    return Handled(id, about, sealed, at)


def tell(**histories: History) -> list[str]:
    return list(Story({"task": EMPTY, "notify": EMPTY, "user": EMPTY} | histories, SEALERS).lines())


def test_what_came_of_a_message_stands_below_it() -> None:
    made = "log_grew e1\ntask_assigned e2\nlooked twice"
    command = handled("c", About("create_task", "r", None, "ada", made), Ok(b""))
    event = handled("e2", About("task_assigned", "r", "c", None, "send_mail m"))
    assert tell(task=History([command], [], []), notify=History([event], [], [])) == [
        "task handled create_task c at 1970-01-01T00:00:00.000Z: done",
        "    made log_grew e1, sent; no actor of ours listens",
        "    made task_assigned e2",
        "        notify handled task_assigned e2 at 1970-01-01T00:00:00.000Z: done",
        "            made send_mail m, sent; on its way, or not yet handled",
        "    note: looked twice",
    ]


def test_what_waits_and_what_failed_is_said() -> None:
    command = handled("c", About("create_task", "r", made="task_assigned e1\ntask_updated e2\ntask_completed e3"))
    later = ParkedRow("e1", "task_assigned", b"", 2, 5000, "StoreAway: gone", 0, 0)
    dead = ParkedRow("e2", "task_updated", b"", 8, None, "ValueError: no", 0, 0)
    lines = tell(
        task=History([command], [Outgoing("e3", "task_completed", b"")], []), notify=History([], [], [later, dead])
    )
    assert lines[1:] == [
        "    made task_assigned e1",
        "        notify has task_assigned e1 as parked, due at 1970-01-01T00:00:05.000Z: attempt 2, StoreAway: gone",
        "    made task_updated e2",
        "        notify has task_updated e2 as a dead letter: attempt 8, ValueError: no",
        "    made task_completed e3",
        "        task has not sent e3 yet: it waits in the outbox",
    ]


def test_a_refusal_is_told_with_its_code_and_an_unreadable_answer_without() -> None:
    refused = handled("c", About("create_task", "r"), Failed("not_found", "task.project_unknown", "no such project"))
    assert tell(task=History([refused], [], []))[0].endswith(": refused, task.project_unknown no such project")
    assert "sealed with another key" in tell(user=History([refused], [], []))[0]


def test_a_request_that_was_put_aside_itself_is_told() -> None:
    poison = ParkedRow("c", "delete_task", b"", 3, None, "it took its process down 3 times", 0, 0)
    assert tell(task=History([], [], [poison])) == [
        "task has delete_task c as a dead letter: attempt 3, it took its process down 3 times"
    ]
