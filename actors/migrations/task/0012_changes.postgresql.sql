insert into tally (name, last) values ('changes', 0)
--
create table change (
    id bigint generated always as identity primary key,
    seq bigint unique,
    type text not null,
    project_id text not null,
    task_id text,
    version bigint,
    at bigint not null
)
--
create index change_project on change (project_id, seq)
--
create index change_at on change (at)
--
create function number_change() returns trigger language plpgsql as $$
declare
    number bigint;
begin
    update tally set last = last + 1 where name = 'changes' returning last into number;
    update change set seq = number where id = new.id;
    return null;
end
$$
--
-- at the commit, so that the counter is locked for no longer than that
create constraint trigger change_number after insert on change deferrable initially deferred
for each row execute function number_change()
