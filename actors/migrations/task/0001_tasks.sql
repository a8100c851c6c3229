create table person (
    id text not null primary key,
    name text not null,
    active bigint not null,
    version bigint not null
)
--
create table project (
    id text not null primary key,
    name text not null,
    description text not null,
    key text not null,
    created_by text,
    created_at bigint not null,
    updated_at bigint not null,
    version bigint not null
)
--
create unique index project_key on project (created_by, key)
--
create table board (
    project_id text not null primary key references project (id) on delete cascade,
    last_number bigint not null,
    last_place bigint not null
)
--
create table member (
    project_id text not null references project (id) on delete cascade,
    user_id text not null,
    role text not null,
    added_at bigint not null,
    primary key (project_id, user_id)
)
--
create index member_user on member (user_id, project_id)
--
create table label (
    id text not null primary key,
    project_id text not null references project (id) on delete cascade,
    name text not null,
    color text not null,
    version bigint not null
)
--
create table task (
    id text not null primary key,
    project_id text not null references project (id) on delete cascade,
    number bigint not null,
    title text not null,
    description text not null,
    status text not null,
    priority bigint not null,
    assignee_ids text not null,
    label_ids text not null,
    watcher_count bigint not null default 0,
    start_at bigint,
    due_at bigint,
    remind_at text not null,
    parent_id text,
    relations text not null default '[]',
    estimate_minutes bigint,
    position text not null,
    comment_count bigint not null default 0,
    attachment_count bigint not null default 0,
    created_by text,
    created_at bigint not null,
    updated_at bigint not null,
    completed_at bigint,
    deleted_at bigint,
    deleted_with text,
    version bigint not null default 1,
    words text not null
)
--
create unique index task_number on task (project_id, number)
--
create index task_created on task (project_id, created_at, id) where deleted_at is null
--
create index task_trash on task (project_id, deleted_at) where deleted_at is not null
--
create index task_parent on task (parent_id) where parent_id is not null
--
create table assignee (
    task_id text not null references task (id) on delete cascade,
    user_id text not null,
    primary key (task_id, user_id)
)
--
create index assignee_user on assignee (user_id, task_id)
--
create table task_label (
    task_id text not null references task (id) on delete cascade,
    label_id text not null references label (id) on delete cascade,
    primary key (task_id, label_id)
)
--
create index task_label_label on task_label (label_id, task_id)
--
create table watcher (
    task_id text not null references task (id) on delete cascade,
    user_id text not null,
    primary key (task_id, user_id)
)
--
create table activity (
    id text not null primary key,
    task_id text not null references task (id) on delete cascade,
    actor_id text,
    field text not null,
    was text not null,
    became text not null,
    created_at bigint not null
)
--
create index activity_task on activity (task_id, id)
