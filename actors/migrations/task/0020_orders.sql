-- each order of a list is read from an index, from either end; missing times come last in both directions
create index task_updated on task (project_id, updated_at, id) where deleted_at is null
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
