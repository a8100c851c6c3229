create table text_message (
    id text not null primary key,
    status text not null,
    attempt bigint not null,
    changed_at bigint not null
)
--
create index text_message_changed on text_message (changed_at)
--
create table text_count (
    number text not null,
    day bigint not null,
    count bigint not null,
    primary key (number, day)
)
