create table reminder (
    task_id text not null references task (id) on delete cascade,
    at bigint not null,
    primary key (task_id, at)
)
--
create index reminder_at on reminder (at)
--
insert into reminder (task_id, at)
select task.id, moment.value from task, json_each(task.remind_at) as moment
where task.remind_at <> '[]' and moment.value > now_ms()
