alter table task add column recurrence text
