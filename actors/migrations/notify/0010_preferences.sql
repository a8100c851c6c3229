create table preference (
    user_id text not null primary key,
    value text not null
)
--
create table letter (
    id text not null primary key,
    user_id text not null,
    thread text not null,
    root_id text not null,
    due_at bigint not null,
    told_at bigint,
    closed_at bigint
)
--
create index letter_due on letter (due_at) where told_at is null
--
create index letter_told on letter (told_at)
--
create index letter_user on letter (user_id)
--
create table letter_item (
    id text not null primary key,
    letter_id text not null,
    kind text not null,
    about text not null,
    body text not null,
    actor_id text,
    created_at bigint not null
)
--
create index letter_item_letter on letter_item (letter_id, id)
--
create table letter_thread (
    user_id text not null,
    thread text not null,
    root_id text not null,
    due_at bigint not null,
    open_id text,
    primary key (user_id, thread)
)
--
create index letter_thread_due on letter_thread (due_at)
