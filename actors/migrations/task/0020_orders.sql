drop index task_created
--
-- which of the oldest have changed lately is known without reading them, and the reverse
create index task_created on task (project_id, created_at, id, updated_at) where deleted_at is null
--
-- each order of a list is read from an index, from either end; missing times come last in both directions
create index task_updated on task (project_id, updated_at, id, created_at) where deleted_at is null
--
create index task_due on task (project_id, coalesce(due_at, 9007199254740991), id) where deleted_at is null
--
create index task_due_last on task (project_id, coalesce(due_at, -9007199254740991), id) where deleted_at is null
--
create index task_priority on task (project_id, priority, id) where deleted_at is null
--
create index task_position on task (project_id, position, id) where deleted_at is null
--
create index task_status on task (project_id, status) where deleted_at is null
--
-- which an import may have said; lists rely on it
update task set updated_at = created_at where updated_at < created_at
