"""Calls that the task actor answers."""

from actors.contracts.task import CreateTask, DeleteTask, GetTask, ListTasks, UpdateTask
from actors.contracts.task_project import CreateProject, ListProjects, SetMember
from actors.contracts.user import VouchForPerson
from edge.route import Route, Vouch, delete, get, patch, post, put

_PERSON = Vouch(VouchForPerson, user_id="user_id")

ROUTES: tuple[Route, ...] = (
    post("/v1/projects", CreateProject, scope="tasks:write", created="/v1/projects/{id}"),
    get("/v1/projects", ListProjects, scope="tasks:read"),
    put("/v1/projects/{id}/members/{user_id}", SetMember, scope="tasks:write", grants=(_PERSON,)),
    post("/v1/tasks", CreateTask, scope="tasks:write", created="/v1/tasks/{id}"),
    get("/v1/tasks", ListTasks, scope="tasks:read"),
    get("/v1/tasks/{id}", GetTask, scope="tasks:read"),
    patch("/v1/tasks/{id}", UpdateTask, scope="tasks:write"),
    delete("/v1/tasks/{id}", DeleteTask, scope="tasks:write"),
)
