create table verification (
    account_id text not null primary key references account (id) on delete cascade,
    digest bytea,
    made_at bigint not null,
    mails text not null
)
--
create unique index verification_digest on verification (digest)
