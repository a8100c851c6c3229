create table reminder (
    task_id text not null references task (id) on delete cascade,
    at bigint not null,
    primary key (task_id, at)
)
--
create index reminder_at on reminder (at)
--
insert into reminder (task_id, at)
select task.id, cast(moment.value as bigint) from task, json_array_elements_text(cast(task.remind_at as json)) as moment (value)
where task.remind_at <> '[]' and cast(moment.value as bigint) > now_ms()
