create table api_token (
    id text not null primary key,
    account_id text not null references account (id) on delete cascade,
    name text not null,
    scopes text not null,
    digest bytea not null,
    created_at bigint not null,
    expires_at bigint,
    last_used_at bigint
)
--
create unique index api_token_digest on api_token (digest)
--
create index api_token_account on api_token (account_id, created_at, id)
--
create table totp (
    account_id text not null primary key references account (id) on delete cascade,
    begun bytea,
    sealed bytea,
    last_step bigint not null
)
--
create table recovery_code (
    account_id text not null references account (id) on delete cascade,
    digest bytea not null,
    primary key (account_id, digest)
)
