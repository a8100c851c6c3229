create index task_deleted on task (deleted_at) where deleted_at is not null
