create table media (
    id text not null primary key,
    owner_id text,
    task_id text,
    filename text not null,
    content_type text not null,
    size bigint not null,
    sha256 text,
    visibility text not null,
    status text not null,
    width bigint,
    height bigint,
    created_at bigint not null,
    version bigint not null
)
--
create index media_task on media (task_id, created_at, id) where task_id is not null
--
create index media_owner on media (owner_id, created_at, id)
--
create index media_pending on media (created_at) where status = 'pending'
--
create table attached (
    task_id text not null primary key,
    files bigint not null,
    version bigint not null
)
