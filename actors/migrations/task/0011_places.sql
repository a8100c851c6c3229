create index task_place on task (project_id, position, id)
