-- when the newest task of a project was made, or later; so a list of many projects looks into few of them
alter table board add column newest_at bigint not null default 0
--
update board set newest_at = coalesce(
    (select max(t.created_at) from task t where t.project_id = board.project_id), 0
)
