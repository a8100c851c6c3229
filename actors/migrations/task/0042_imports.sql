alter table import add column spot bigint
--
alter table imported add column import_id text
