alter table session add column address text
--
create table access_feed (
    id bigint not null primary key,
    last bigint not null
)
--
create table access_change (
    seq bigint not null primary key,
    account_id text not null,
    role text,
    active bigint,
    ended text not null,
    at bigint not null
)
--
create index access_change_at on access_change (at)
--
create table audit (
    id text not null primary key,
    action text not null,
    actor_id text,
    user_id text,
    at bigint not null,
    detail text not null
)
--
create index audit_user on audit (user_id, id)
--
create index audit_action on audit (action, id)
--
create table audit_origin (
    audit_id text not null primary key references audit (id),
    ip text,
    user_agent text
)
