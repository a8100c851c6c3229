-- when the newest task of a project was made, or later: a list of many projects looks into few of them
alter table board add column newest_at bigint not null default 0
--
update board set newest_at = coalesce(
    (select max(t.created_at) from task t where t.project_id = board.project_id), 0
)
--
-- triggers, for what an older version writes beside this one counts, too; whoever brings a task has locked the board
create function know_newest() returns trigger language plpgsql as $$
begin
    update board b set newest_at = n.newest_at
    from (select project_id, max(created_at) as newest_at from arrived group by project_id) n
    where b.project_id = n.project_id and b.newest_at < n.newest_at;
    return null;
end
$$
--
create trigger task_newest after insert on task referencing new table as arrived
for each statement execute function know_newest()
--
create function know_newest_moved() returns trigger language plpgsql as $$
begin
    update board set newest_at = new.created_at where project_id = new.project_id and newest_at < new.created_at;
    return null;
end
$$
--
create trigger task_newest_moved after update of project_id on task
for each row when (new.project_id <> old.project_id) execute function know_newest_moved()
