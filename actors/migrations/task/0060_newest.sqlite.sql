-- when the newest task of a project was made, or later: a list of many projects looks into few of them
alter table board add column newest_at bigint not null default 0
--
update board set newest_at = coalesce(
    (select max(t.created_at) from task t where t.project_id = board.project_id), 0
)
--
create trigger task_newest after insert on task
begin
    update board set newest_at = new.created_at where project_id = new.project_id and newest_at < new.created_at;
end
--
create trigger task_newest_moved after update of project_id on task
begin
    update board set newest_at = new.created_at where project_id = new.project_id and newest_at < new.created_at;
end
