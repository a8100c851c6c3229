create table webhook (
    id text not null primary key,
    owner_id text not null,
    project_id text,
    url text not null,
    events text not null,
    active bigint not null,
    secret bytea not null,
    old_secret bytea,
    old_until bigint,
    failing_since bigint,
    created_at bigint not null,
    version bigint not null
)
--
create index webhook_owner on webhook (owner_id, created_at, id)
--
create index membership_project on membership (project_id) where active = 1
--
create table delivery (
    id text not null primary key,
    webhook_id text not null,
    event text not null,
    body text not null,
    status text not null,
    attempts bigint not null,
    response_status bigint,
    created_at bigint not null,
    expires_at bigint not null,
    next_attempt_at bigint
)
--
create index delivery_webhook on delivery (webhook_id, created_at, id)
--
create index delivery_due on delivery (next_attempt_at) where status = 'pending'
--
create index delivery_age on delivery (created_at)
