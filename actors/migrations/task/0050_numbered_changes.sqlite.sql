-- a change that comes with its number, from another database, keeps it
drop trigger change_number
--
create trigger change_number after insert on change when new.seq is null begin
    update tally set last = last + 1 where name = 'changes';
    update change set seq = (select last from tally where name = 'changes') where id = new.id;
end
