"""Calls that the task actor answers."""

from actors.contracts.task import (
    AssignTask,
    CreateTask,
    DeleteTask,
    GetTask,
    LabelTask,
    ListTasks,
    RestoreTask,
    UnassignTask,
    UnlabelTask,
    UnwatchTask,
    UpdateTask,
    WatchTask,
)
from actors.contracts.task_activity import ListActivity, UndoActivity
from actors.contracts.task_batch import BatchTasks
from actors.contracts.task_change import ListChanges
from actors.contracts.task_comment import AddComment, DeleteComment, ListComments, UpdateComment
from actors.contracts.task_label import CreateLabel, DeleteLabel, ListLabels, UpdateLabel
from actors.contracts.task_move import MoveTask
from actors.contracts.task_project import (
    CreateProject,
    DeleteProject,
    GetProject,
    ListMembers,
    ListProjects,
    RemoveMember,
    SetMember,
    UpdateProject,
)
from actors.contracts.task_relation import RelateTask, UnrelateTask
from actors.contracts.user import VouchForPerson
from edge.route import Route, Vouch, delete, get, patch, post, put

_PERSON = Vouch(VouchForPerson, user_id="user_id")

ROUTES: tuple[Route, ...] = (
    post("/v1/projects", CreateProject, scope="tasks:write", created="/v1/projects/{id}"),
    get("/v1/projects", ListProjects, scope="tasks:read"),
    get("/v1/projects/{id}", GetProject, scope="tasks:read"),
    patch("/v1/projects/{id}", UpdateProject, scope="tasks:write"),
    delete("/v1/projects/{id}", DeleteProject, scope="tasks:write"),
    get("/v1/projects/{id}/members", ListMembers, scope="tasks:read"),
    put("/v1/projects/{id}/members/{user_id}", SetMember, scope="tasks:write", grants=(_PERSON,)),
    delete("/v1/projects/{id}/members/{user_id}", RemoveMember, scope="tasks:write"),
    post("/v1/projects/{id}/labels", CreateLabel, scope="tasks:write", created="/v1/labels/{id}"),
    get("/v1/projects/{id}/labels", ListLabels, scope="tasks:read"),
    patch("/v1/labels/{id}", UpdateLabel, scope="tasks:write"),
    delete("/v1/labels/{id}", DeleteLabel, scope="tasks:write"),
    post("/v1/tasks", CreateTask, scope="tasks:write", created="/v1/tasks/{id}"),
    post("/v1/tasks/batch", BatchTasks, scope="tasks:write"),
    get("/v1/tasks", ListTasks, scope="tasks:read"),
    get("/v1/tasks/{id}", GetTask, scope="tasks:read"),
    patch("/v1/tasks/{id}", UpdateTask, scope="tasks:write"),
    delete("/v1/tasks/{id}", DeleteTask, scope="tasks:write"),
    post("/v1/tasks/{id}/restore", RestoreTask, scope="tasks:write"),
    put("/v1/tasks/{id}/assignees/{user_id}", AssignTask, scope="tasks:write"),
    delete("/v1/tasks/{id}/assignees/{user_id}", UnassignTask, scope="tasks:write"),
    put("/v1/tasks/{id}/labels/{label_id}", LabelTask, scope="tasks:write"),
    delete("/v1/tasks/{id}/labels/{label_id}", UnlabelTask, scope="tasks:write"),
    put("/v1/tasks/{id}/watchers/me", WatchTask, scope="tasks:write"),
    delete("/v1/tasks/{id}/watchers/me", UnwatchTask, scope="tasks:write"),
    put("/v1/tasks/{id}/relations/{kind}/{other_id}", RelateTask, scope="tasks:write"),
    delete("/v1/tasks/{id}/relations/{kind}/{other_id}", UnrelateTask, scope="tasks:write"),
    post("/v1/tasks/{id}/move", MoveTask, scope="tasks:write"),
    get("/v1/tasks/{id}/activity", ListActivity, scope="tasks:read"),
    post("/v1/activity/{id}/undo", UndoActivity, scope="tasks:write"),
    get("/v1/changes", ListChanges, scope="tasks:read"),
    post("/v1/tasks/{id}/comments", AddComment, scope="tasks:write", created="/v1/comments/{id}"),
    get("/v1/tasks/{id}/comments", ListComments, scope="tasks:read"),
    patch("/v1/comments/{id}", UpdateComment, scope="tasks:write"),
    delete("/v1/comments/{id}", DeleteComment, scope="tasks:write"),
)
