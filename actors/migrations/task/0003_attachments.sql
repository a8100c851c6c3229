alter table task add column attachments_version bigint not null default 0
