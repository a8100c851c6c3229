create table task_row (
    row integer primary key,
    task_id text not null unique
)
--
create virtual table task_words using fts5 (words, content = '', tokenize = 'unicode61 remove_diacritics 0')
--
create trigger task_words_added after insert on task begin
    insert into task_row (task_id) values (new.id);
    insert into task_words (rowid, words) select row, new.words from task_row where task_id = new.id;
end
--
create trigger task_words_changed after update of words on task when old.words <> new.words begin
    insert into task_words (task_words, rowid, words)
    select 'delete', row, old.words from task_row where task_id = new.id;
    insert into task_words (rowid, words) select row, new.words from task_row where task_id = new.id;
end
--
create trigger task_words_deleted after delete on task begin
    insert into task_words (task_words, rowid, words)
    select 'delete', row, old.words from task_row where task_id = old.id;
    delete from task_row where task_id = old.id;
end
