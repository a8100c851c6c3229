"""Paths find their endpoints, and a route's line says all about a call."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from actors.contracts.task import CreateTask, DeleteTask, GetTask, ListTasks, UpdateTask
from actors.contracts.task_project import SetMember
from actors.contracts.user import SignIn, VouchForPerson
from edge.answer import Answer
from edge.call import Call
from edge.problems import Problem, of_failed
from edge.route import Vouch, delete, get, patch, post, put
from edge.router import Router
from edge.routes import ROUTES
from runtime.errors import Fault, Kind
from runtime.message import Failed

ID, OTHER = "01a20bcc-aec9-7000-b6e8-a84670feea08", "01a20bcc-aec9-7000-b6e8-a84670feea09"


@dataclass
class Named:
    """An endpoint of which only the path matters."""

    path: str

    async def answer(self, call: Call) -> Answer:
        return Answer(200)


@pytest.fixture
def router() -> Router:
    router = Router()
    for path in ("/v1/tasks", "/v1/tasks/{id}", "/v1/tasks/{id}/labels/{label_id}", "/v1/tasks/batch", "/healthz"):
        router.add("GET", path, Named(path))
    return router


@pytest.mark.parametrize(
    ("path", "found", "values"),
    [
        ("/v1/tasks", "/v1/tasks", []),
        ("/v1/t%61sks", "/v1/tasks", []),
        ("/v1/tasks/7", "/v1/tasks/{id}", ["7"]),
        ("/v1/tasks/%2F", "/v1/tasks/{id}", ["/"]),
        ("/v1/tasks/", "/v1/tasks/{id}", [""]),
        ("/v1/tasks/batch", "/v1/tasks/batch", []),
        ("/v1/tasks/7/labels/8", "/v1/tasks/{id}/labels/{label_id}", ["7", "8"]),
        ("/healthz", "/healthz", []),
        ("/v1/tasks/7/labels", None, []),
        ("/v1", None, []),
        ("/", None, []),
        ("", None, []),
        ("//v1/tasks", None, []),
        ("/V1/tasks", None, []),
        ("/healthz/", None, []),
        ("/v1/%ff", None, []),
        ("/v1/tasks/7/labels/8/9", None, []),
    ],
)
def test_path_finds_its_endpoint(router: Router, path: str, found: str | None, values: list[str]) -> None:
    endpoints, given = router.find(path)
    assert (endpoints["GET"].path if endpoints else None) == found
    assert not endpoints or given == values


def test_path_is_served_once(router: Router) -> None:
    with pytest.raises(ValueError, match="twice"):
        router.add("GET", "/v1/tasks/{other}", Named("/v1/tasks/{other}"))


def test_line_says_status_actor_and_rate() -> None:
    made = post("/v1/tasks", CreateTask, created="/v1/tasks/{id}")
    assert (made.status, made.actor, made.versioned, made.has_body) == (201, "task", True, True)
    assert post("/v1/sessions", SignIn, rate="auth").rate_class(searches=False) == "auth"
    listed = get("/v1/tasks", ListTasks)
    assert (listed.status, listed.versioned, listed.has_body) == (200, False, False)
    assert (listed.rate_class(searches=False), listed.rate_class(searches=True)) == ("read", "search")
    assert patch("/v1/tasks/{id}", UpdateTask).rate_class(searches=False) == "write"
    assert delete("/v1/tasks/{id}", DeleteTask).status == 204
    assert get("/v1/tasks/{id}", GetTask).parameters == {"id": "task"}


def test_vouch_takes_its_fields_from_the_message() -> None:
    vouch = Vouch(VouchForPerson, user_id="user_id")
    route = put("/v1/projects/{id}/members/{user_id}", SetMember, grants=(vouch,))
    assert route.parameters == {"id": "project", "user_id": "user"}
    assert vouch.ask_for(SetMember(id=ID, user_id=OTHER, role="viewer")) == VouchForPerson(user_id=OTHER)


def test_every_route_names_fields_of_its_message() -> None:
    for route in ROUTES:
        names = set(route.message.__struct_fields__)
        assert set(route.parameters) <= names, route.path


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (Kind.INVALID, 422),
        (Kind.UNAUTHENTICATED, 401),
        (Kind.FORBIDDEN, 403),
        (Kind.NOT_FOUND, 404),
        (Kind.GONE, 410),
        (Kind.CONFLICT, 409),
        (Kind.PRECONDITION_FAILED, 412),
        (Kind.THROTTLED, 429),
        (Kind.UNAVAILABLE, 503),
        (Kind.OVERLOADED, 503),
        (Kind.TIMEOUT, 504),
        (Kind.INTERNAL, 500),
    ],
)
def test_each_failure_has_its_status_and_headers(kind: Kind, status: int) -> None:
    problem = of_failed(Failed(kind, "some.code", "Some detail.", retry_after=0.2), "task", replayed=False)
    headers = dict(problem.headers)
    assert problem.status == status
    assert ("WWW-Authenticate" in headers) == (status == 401)
    assert headers.get("Retry-After") == ("1" if status in (429, 503) else None)
    if status == 500:
        assert (problem.code, "Some detail" in problem.detail) == ("internal", False)
    if status in (503, 504):
        assert "task actor" in problem.detail


def test_every_kind_of_failure_has_a_status() -> None:
    for kind in Kind:
        assert isinstance(of_failed(Failed(kind, "some.code"), "task", replayed=False), Problem)


def test_faults_and_first_request_id_of_a_replay_are_kept() -> None:
    failed = Failed(Kind.INVALID, "request.invalid", "No.", (Fault("/title", "is missing"),), request_id="first")
    replay = of_failed(failed, "task", replayed=True).answer("second").content
    assert b'"request_id":"first"' in replay
    assert b'"errors":[{"pointer":"/title","detail":"is missing"}]' in replay
    assert b'"request_id":"second"' in of_failed(failed, "task", replayed=False).answer("second").content
