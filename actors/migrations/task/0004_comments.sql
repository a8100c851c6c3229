create table comment (
    id text not null primary key,
    task_id text not null references task (id) on delete cascade,
    author_id text,
    author_name text not null,
    body text not null,
    source text,
    created_at bigint not null,
    updated_at bigint not null,
    version bigint not null,
    words text not null
)
--
create index comment_task on comment (task_id, created_at, id)
--
create unique index comment_source on comment (task_id, source)
--
create unique index label_name on label (project_id, name)
