alter table account add column folded text not null default ''
--
update account set folded = lower(name) || ' ' || address
--
create table mailed_token (
    purpose text not null,
    subject text not null,
    account_id text references account (id) on delete cascade,
    digest bytea,
    made_at bigint not null,
    mails text not null,
    primary key (purpose, subject)
)
--
create unique index mailed_token_digest on mailed_token (digest)
--
create index mailed_token_account on mailed_token (account_id)
--
insert into mailed_token (purpose, subject, account_id, digest, made_at, mails)
select 'verification', account_id, account_id, digest, made_at, mails from verification
--
drop table verification
