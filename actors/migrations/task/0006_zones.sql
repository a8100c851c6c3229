alter table person add column timezone text not null default 'UTC'
