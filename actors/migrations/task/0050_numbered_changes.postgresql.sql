-- a change that comes with its number, from another database, keeps it
drop trigger change_number on change
--
create constraint trigger change_number after insert on change deferrable initially deferred
for each row when (new.seq is null) execute function number_change()
