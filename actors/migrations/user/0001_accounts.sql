create table account (
    id text not null primary key,
    email text not null,
    address text not null,
    email_verified bigint not null,
    password text not null,
    name text not null,
    role text not null,
    status text not null,
    locale text not null,
    timezone text not null,
    phone text,
    avatar_url text,
    created_at bigint not null,
    updated_at bigint not null,
    version bigint not null
)
--
create unique index account_address on account (address)
--
create table session (
    id text not null primary key,
    account_id text not null references account (id) on delete cascade,
    user_agent text,
    network text,
    created_at bigint not null,
    last_seen_at bigint not null,
    expires_at bigint not null,
    revoked_at bigint
)
--
create index session_account on session (account_id, id)
--
create index session_expiry on session (expires_at)
--
create table refresh_token (
    digest bytea not null primary key,
    session_id text not null references session (id) on delete cascade,
    created_at bigint not null,
    used_at bigint
)
--
create index refresh_token_session on refresh_token (session_id)
--
create table known_network (
    account_id text not null references account (id) on delete cascade,
    network text not null,
    seen_at bigint not null,
    primary key (account_id, network)
)
--
create table attempt (
    account text not null,
    network text not null,
    times text not null,
    latest bigint not null,
    primary key (network, account)
)
--
create table signing_key (
    kid text not null primary key,
    sealed bytea not null,
    x text not null,
    y text not null,
    created_at bigint not null
)
