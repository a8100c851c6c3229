create table person (
    id text not null primary key,
    name text not null,
    active bigint not null,
    email text not null,
    email_verified bigint not null,
    locale text not null,
    timezone text not null,
    version bigint not null
)
--
create table notification (
    id text not null primary key,
    user_id text not null,
    kind text not null,
    about text not null,
    body text not null,
    subject_type text not null,
    subject_id text not null,
    actor_id text,
    created_at bigint not null,
    read_at bigint
)
--
create index notification_user on notification (user_id, created_at, id)
--
create index notification_unread on notification (user_id, created_at, id) where read_at is null
--
create table mail (
    id text not null primary key,
    status text not null,
    attempt bigint not null,
    changed_at bigint not null
)
--
create index mail_changed on mail (changed_at)
