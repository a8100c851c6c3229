create table import (
    id text not null primary key,
    user_id text not null,
    status text not null,
    created_at bigint not null,
    changed_at bigint not null,
    name text not null,
    format text not null,
    project_id text,
    dry_run bigint not null,
    mapping text not null,
    place bigint not null,
    highest bigint not null,
    done bigint not null,
    total bigint not null,
    created bigint not null,
    skipped bigint not null,
    errors text not null
)
--
create index import_unfinished on import (changed_at) where status in ('open', 'queued', 'running')
--
create table imported (
    project_id text not null references project (id) on delete cascade,
    source text not null,
    task_id text not null references task (id) on delete cascade,
    primary key (project_id, source)
)
--
create index imported_task on imported (task_id)
