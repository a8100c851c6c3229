create table calendar_feed (
    user_id text not null primary key,
    digest bytea not null,
    created_at bigint not null
)
--
create unique index calendar_feed_digest on calendar_feed (digest)
