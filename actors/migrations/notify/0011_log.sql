create table log_counter (
    id bigint not null primary key,
    last bigint not null
)
--
create table log (
    seq bigint not null primary key,
    type text not null,
    project_id text,
    user_id text,
    data text not null,
    at bigint not null
)
--
create index log_at on log (at)
--
create table membership (
    project_id text not null,
    user_id text not null,
    active bigint not null,
    at text not null,
    primary key (user_id, project_id)
)
