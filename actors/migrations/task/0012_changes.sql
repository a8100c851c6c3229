create table change (
    seq bigint not null primary key,
    type text not null,
    project_id text not null,
    task_id text,
    version bigint,
    at bigint not null
)
--
create index change_project on change (project_id, seq)
--
create index change_at on change (at)
