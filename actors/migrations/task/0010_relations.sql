create table relation (
    task_id text not null references task (id) on delete cascade,
    type text not null,
    other_id text not null,
    primary key (task_id, type, other_id)
)
--
create index relation_other on relation (other_id)
--
create table tally (
    name text not null primary key,
    last bigint not null
)
