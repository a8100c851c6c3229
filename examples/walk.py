"""A walk through Troupe over HTTP, as two people would take it: every step is checked, the first that fails ends it.

    ./dev run                                  # in one terminal
    .venv/bin/python examples/walk.py          # in another

Exit status: 0 all steps held, 1 one did not (it says which), 2 wrong usage.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import aiohttp

from company import PATIENCE_S, Failed, Folder, Mailpit, Mails, Person, Steps, check, until

ARCHIVE = Path(__file__).parents[2] / "shared" / "data" / "quicwg-multipath-issues.json"
STATUS = {"OPEN": "todo", "CLOSED": "done"}
FILE = b"%PDF-1.4\n% the minutes of the walk\n%%EOF\n"


# ------------------------------------------------------------------------------------- the archive


def sample() -> Any:
    """An archive of the shape that GitHub's tools for archives write: 304 issues with 1350 comments."""

    def issue(number: int) -> Any:
        made = f"2024-{1 + number % 12:02}-{1 + number % 28:02}T08:00:00Z"
        closed = f"2025-{1 + number % 12:02}-{1 + number % 28:02}T09:30:00Z" if number % 4 else None
        comments = [
            {"author": f"walker{n}", "body": f"Remark {n} on stone {number}", "createdAt": made, "updatedAt": made}
            for n in range(5 if number <= 134 else 4)
        ]
        return {
            "number": number,
            "id": f"I_{number}",
            "title": f"Stone number {number} is loose",
            "state": "CLOSED" if closed else "OPEN",
            "author": "walker0",
            "labels": ["path"] if number % 3 else ["path", "bug"],
            "body": f"Whoever steps on the *{number}th* stone stumbles.",
            "createdAt": made,
            "updatedAt": closed or made,
            "closedAt": closed,
            "comments": comments,
        }

    labels = [{"name": "path", "color": "0075ca"}, {"name": "bug", "color": "d73a4a"}]
    return {"repo": "example/garden", "labels": labels, "issues": [issue(n) for n in range(1, 305)], "pulls": []}


def same_time(one: str | None, other: str | None) -> bool:
    """Whether two times are the same one; an archive writes them without milliseconds."""
    return (one or "").replace(".000Z", "Z") == (other or "")


# ------------------------------------------------------------------------------------- the steps


async def confirm(anyone: Person, person: Person, mails: Mails) -> None:
    """Prove an address with the token that was mailed to it: other mail goes to proven ones only."""

    async def token() -> str | None:
        for mail in await mails.to(person.user["email"]):
            if found := re.search(r"[?&]token=([\w-]+)", mail):
                return found[1]
        return None

    found = await until(token, "a mail with a token")
    await anyone.call("POST", "/v1/email-verifications", {"token": found}, expect=204)
    check((await person.call("GET", "/v1/me"))["email_verified"], "the address must be verified")


async def bring_in(ada: Person, project: str, archive: bytes, steps: Steps) -> Any:
    """Import the archive into the project; the import as it ended."""
    form = aiohttp.FormData()
    form.add_field("format", "github-archive")
    form.add_field("project_id", project)
    form.add_field("file", archive, filename="issues.json", content_type="application/json")
    begun = await ada.call("POST", "/v1/imports", form, expect=202)

    async def ended() -> Any:
        now = await ada.call("GET", f"/v1/imports/{begun['id']}")
        steps.bar(now["done"], now["total"] or 1)
        return now if now["status"] in ("done", "failed") else None

    result = await until(ended, "the import has ended")
    check(result["status"] == "done" and not result["errors"], "the import must end as done", result)
    return result


async def compare(ada: Person, project: str, issues: Iterable[Any], steps: Steps) -> int:
    """Every issue must be there as it was, every comment too; how many comments."""
    tasks = {task["number"]: task for task in await ada.all(f"/v1/tasks?project_id={project}")}
    labels = {label["id"]: label["name"] for label in await ada.all(f"/v1/projects/{project}/labels")}
    wanted = {issue["number"]: issue for issue in issues}
    check(tasks.keys() == wanted.keys(), "the tasks must have the numbers of the issues", len(tasks))
    seen = 0

    async def one(number: int) -> int:
        nonlocal seen
        task, issue = tasks[number], wanted[number]
        check(task["title"] == issue["title"], f"title of #{number}", task["title"])
        check(task["description"] == (issue["body"] or ""), f"description of #{number}", task["description"][:99])
        check(task["status"] == STATUS[issue["state"]], f"status of #{number}", task["status"])
        check({labels[id] for id in task["label_ids"]} == set(issue["labels"]), f"labels of #{number}", task)
        check(same_time(task["created_at"], issue["createdAt"]), f"created_at of #{number}", task["created_at"])
        check(same_time(task["completed_at"], issue["closedAt"]), f"completed_at of #{number}", task["completed_at"])
        check(task["comment_count"] == len(issue["comments"]), f"comment_count of #{number}", task["comment_count"])
        comments = await ada.all(f"/v1/tasks/{task['id']}/comments") if issue["comments"] else []
        order = sorted(issue["comments"], key=lambda each: each["createdAt"])
        check(len(comments) == len(order), f"comments of #{number}", len(comments))
        for comment, original in zip(comments, order, strict=True):
            check(comment["author_id"] is None, f"an author of #{number} is nobody here", comment)
            check(comment["author_name"] == original["author"], f"author of a comment on #{number}", comment)
            check(comment["body"] == original["body"], f"body of a comment on #{number}", comment)
            check(same_time(comment["created_at"], original["createdAt"]), f"time of a comment on #{number}", comment)
        seen += 1
        steps.bar(seen, len(wanted))
        return len(comments)

    turns = asyncio.Semaphore(8)

    async def in_turn(number: int) -> int:
        async with turns:
            return await one(number)

    return sum(await asyncio.gather(*map(in_turn, wanted)))


async def find(ada: Person, project: str, issues: list[Any]) -> str:
    """Lists, filters and searches; says what was found."""
    base = f"/v1/tasks?project_id={project}"
    done = await ada.all(f"{base}&status=done")
    check(len(done) == sum(issue["state"] == "CLOSED" for issue in issues), "filter by status", len(done))
    uses = Counter(name for issue in issues for name in issue["labels"])
    labels = {label["name"]: label["id"] for label in await ada.all(f"/v1/projects/{project}/labels")}
    for name, count in uses.most_common(3):
        found = await ada.all(f"{base}&label_id={labels[name]}")
        check(len(found) == count, f"filter by the label {name}", len(found))
    oldest = await ada.call("GET", f"{base}&sort=created_at&limit=3")
    times = sorted(issue["createdAt"] for issue in issues)[:3]
    check(all(map(same_time, [t["created_at"] for t in oldest["items"]], times)), "sort by created_at", oldest)
    word = max(re.findall(r"[A-Za-z]{4,}", issues[0]["title"]), key=len)
    hits = await ada.all(f"{base}&q={word}")
    check(issues[0]["number"] in [task["number"] for task in hits], f"search for {word}", len(hits))
    return f"{len(done)} done, {len(hits)} with the word {word}"


async def work(ada: Person, bob: Person, project: str) -> Any:
    """Change a task under optimistic locking, label it, talk about it, assign it to Bob; the task."""
    task = await ada.call("POST", "/v1/tasks", {"project_id": project, "title": "Mend the loose stone"}, expect=201)
    path, version = f"/v1/tasks/{task['id']}", {"If-Match": f'"{task["version"]}"'}
    changed = await ada.call("PATCH", path, {"status": "in_progress", "priority": 3}, headers=version)
    check((changed["status"], changed["priority"]) == ("in_progress", 3), "the change must show", changed)
    await ada.call("PATCH", path, {"priority": 4}, headers=version, expect=412)
    label = await ada.call("POST", f"/v1/projects/{project}/labels", {"name": "this walk"}, expect=201)
    labelled = await ada.call("PUT", f"{path}/labels/{label['id']}")
    check(labelled["label_ids"] == [label["id"]], "the label must show", labelled)
    assigned = await ada.call("PUT", f"{path}/assignees/{bob.user['id']}")
    check(assigned["assignee_ids"] == [bob.user["id"]], "the assignee must show", assigned)
    await ada.call("POST", f"{path}/comments", {"body": "Mind the gap beside it."}, expect=201)
    return await bob.call("GET", path)


async def attach(ada: Person, bob: Person, task: Any) -> None:
    """A file for the task, fetched by whoever may see the task, at an address that is good for itself alone."""
    form = aiohttp.FormData()
    form.add_field("file", FILE, filename="minutes.pdf", content_type="application/pdf")
    form.add_field("task_id", task["id"])
    media = await ada.call("POST", "/v1/media", form, expect=201)
    check((media["content_type"], media["size"]) == ("application/pdf", len(FILE)), "what the file is", media)
    attached = await bob.all(f"/v1/tasks/{task['id']}/attachments")
    check([each["id"] for each in attached] == [media["id"]], "the task's attachments", attached)
    url = (await bob.call("GET", f"/v1/media/{media['id']}/url"))["url"]
    check(await bob.fetch(url) == (200, FILE), "the signed address must give the bytes", url)
    forged, _ = await bob.fetch(url[:-1] + ("A" if url[-1] != "A" else "B"))
    check(forged == 403, "a changed address must be refused", forged)


async def run(command: str) -> None:
    """A command of the shell's, to its end."""
    process = await asyncio.create_subprocess_shell(command, stdout=sys.stderr.fileno())
    check(await process.wait() == 0, f"`{command}` must succeed")


async def walk(arguments: argparse.Namespace) -> None:
    """All steps. :raises Failed: at the first that does not hold."""
    steps = Steps(10 if arguments.stop else 9)
    archive = arguments.archive.read_bytes() if arguments.archive.exists() else json.dumps(sample()).encode()
    issues = json.loads(archive)["issues"]
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE_S)) as session:
        anyone = Person(session, arguments.base.rstrip("/"))
        mails: Mails = (
            Mailpit(session, arguments.mail) if arguments.mail.startswith("http") else Folder(Path(arguments.mail))
        )

        if arguments.wait:
            await until(anyone.ready, "the API is ready")

        steps.begin("Two people register and sign in")
        ada, bob = await anyone.register("Ada"), await anyone.register("Bob")
        steps.end(f"{ada.user['email']}, {bob.user['email']}")

        steps.begin("They prove their addresses by mail")
        await confirm(anyone, ada, mails)
        await confirm(anyone, bob, mails)
        steps.end("both verified")

        steps.begin("Ada makes a project and adds Bob")
        project = (await ada.call("POST", "/v1/projects", {"name": "The garden path"}, expect=201))["id"]
        await ada.call("PUT", f"/v1/projects/{project}/members/{bob.user['id']}", {"role": "editor"})
        check([each["id"] for each in await bob.all("/v1/projects")] == [project], "Bob must see the project")
        steps.end("Bob sees it")

        steps.begin("A repository's issues are imported")
        first = await bring_in(ada, project, archive, steps)
        check((first["created"], first["skipped"]) == (len(issues), 0), "all issues must be new", first)
        steps.end(f"{first['created']} tasks")

        steps.begin("All of them are there, as they were")
        comments = await compare(ada, project, issues, steps)
        steps.end(f"{comments} comments")

        steps.begin("Imported again, nothing comes twice")
        second = await bring_in(ada, project, archive, steps)
        check((second["created"], second["skipped"]) == (0, len(issues)), "nothing must be new", second)
        check(len(await ada.all(f"/v1/tasks?project_id={project}")) == len(issues), "no task must be there twice")
        steps.end(f"{second['skipped']} skipped")

        steps.begin("Tasks are listed, filtered and searched")
        steps.end(await find(ada, project, issues))

        steps.begin("A task is changed, assigned; Bob is told")
        task = await work(ada, bob, project)

        async def told() -> Any:
            inbox = await bob.all("/v1/notifications?unread=true")
            return [each for each in inbox if each["kind"] == "task_assigned"]

        async def mailed() -> Any:
            found = await mails.to(bob.user["email"])
            return [each for each in found if task["title"] in each]

        notification = (await until(told, "a notification for the assignee"))[0]
        check(notification["subject"] == {"type": "task", "id": task["id"]}, "what it is about", notification)
        await until(mailed, "a mail to the assignee")
        kinds = {each["kind"] for person in (ada, bob) for each in await person.all("/v1/notifications")}
        quiet = {"member_added", "import_done", "task_assigned", "task_updated", "comment_added"}
        check(kinds <= quiet, "imported history must notify nobody", kinds)
        count = len(await mails.to(ada.user["email"])) + len(await mails.to(bob.user["email"]))
        check(count <= 5, "no mail must go out for imported history", count)
        steps.end(f"in the inbox and by mail; {count} mails in all")

        steps.begin("A file is attached and fetched; the dashboard")
        await attach(ada, bob, task)
        board = await bob.call("GET", "/v1/dashboard")
        check(board["degraded"] == [] and board["user"]["id"] == bob.user["id"], "Bob's dashboard", board)
        check(board["tasks"]["assigned"] == 1 and board["notifications"]["unread"] > 0, "what waits for Bob", board)
        check([each["id"] for each in board["projects"]] == [project], "his projects", board)
        check(len((await ada.call("GET", "/v1/dashboard"))["recent_media"]) == 1, "Ada's newest files")
        steps.end(
            f"{board['tasks']['assigned']} task and {board['notifications']['unread']} notifications wait for Bob"
        )

        if arguments.stop:
            steps.begin(f"The dashboard without {arguments.actor}")
            await run(arguments.stop)
            board = await bob.call("GET", "/v1/dashboard")
            check(board["degraded"] == [arguments.actor], "what is missing must be named", board)
            await run(arguments.start)

            async def whole() -> Any:
                return not (await bob.call("GET", "/v1/dashboard"))["degraded"]

            await until(whole, f"{arguments.actor} is back")
            steps.end("200, degraded; whole again after the start")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("base", nargs="?", default="http://127.0.0.1:8080", help="address of the API (%(default)s)")
    parser.add_argument("--wait", action="store_true", help="begin when it is ready, instead of failing")
    parser.add_argument("--mail", default="var/mail", help="folder of .eml files, or Mailpit's address (%(default)s)")
    parser.add_argument("--archive", type=Path, default=ARCHIVE, help="a GitHub archive; without one, it is made up")
    stopping = parser.add_argument_group("to see the dashboard without an actor", "where actors are separate processes")
    stopping.add_argument("--actor", default="media", choices=["media", "notify", "task"], help="which (%(default)s)")
    stopping.add_argument("--stop", metavar="COMMAND", help="stops it, such as `docker compose stop media`")
    stopping.add_argument("--start", metavar="COMMAND", help="starts it again")
    arguments = parser.parse_args()
    if bool(arguments.stop) != bool(arguments.start):
        parser.error("--stop and --start belong together")
    try:
        asyncio.run(walk(arguments))
    except Failed as failure:
        print(f"\nThis did not hold: {failure}", file=sys.stderr)
        return 1
    except aiohttp.ClientError as error:
        print(f"\n{arguments.base} does not answer: {error}", file=sys.stderr)
        return 1
    print("All of it held.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
