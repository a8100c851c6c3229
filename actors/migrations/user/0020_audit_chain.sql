alter table audit add column seq bigint
--
alter table audit add column mark text not null default ''
--
create unique index audit_seq on audit (seq)
--
create table audit_chain (
    id bigint not null primary key,
    last bigint not null,
    mark text not null
)
--
insert into audit_chain (id, last, mark) values (1, 0, '')
