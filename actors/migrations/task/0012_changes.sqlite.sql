insert into tally (name, last) values ('changes', 0)
--
create table change (
    id integer primary key autoincrement,
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
create trigger change_number after insert on change begin
    update tally set last = last + 1 where name = 'changes';
    update change set seq = (select last from tally where name = 'changes') where id = new.id;
end
