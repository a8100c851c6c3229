create table stored (
    owner_id text not null,
    sha256 text not null,
    object_key text not null,
    files bigint not null,
    primary key (owner_id, sha256)
)
--
create table rendition (
    folder text not null,
    name text not null,
    size bigint not null,
    sha256 text not null,
    primary key (folder, name)
)
--
create table account (
    owner_id text not null primary key,
    bytes bigint not null,
    erased bigint not null
)
--
alter table media add column object_key text
--
alter table media add column expires_at bigint
--
alter table media add column rejected_for text
--
alter table media add column busy_with text
--
alter table media add column busy_until bigint
--
alter table attached add column gone bigint not null default 0
--
update media set expires_at = created_at + 3600000 where status = 'pending'
--
drop index media_pending
--
create index media_pending on media (expires_at) where status = 'pending'
--
insert into stored (owner_id, sha256, object_key, files)
select owner_id, sha256, 'media/' || min(id) || '/original', count(*) from media
where status = 'ready' and owner_id is not null and sha256 is not null group by owner_id, sha256
--
update media set object_key = (
    select object_key from stored where stored.owner_id = media.owner_id and stored.sha256 = media.sha256
) where status = 'ready'
--
create unique index stored_object_key on stored (object_key)
--
insert into account (owner_id, bytes, erased)
select owner_id, sum(size), 0 from media where status = 'ready' and owner_id is not null group by owner_id
