alter table person add column phone text
