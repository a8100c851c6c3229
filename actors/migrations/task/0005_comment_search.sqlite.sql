create table comment_row (
    row integer primary key,
    comment_id text not null unique,
    task_id text not null
)
--
create virtual table comment_words using fts5 (words, content = '', tokenize = 'unicode61 remove_diacritics 0')
--
create trigger comment_words_added after insert on comment begin
    insert into comment_row (comment_id, task_id) values (new.id, new.task_id);
    insert into comment_words (rowid, words) select row, new.words from comment_row where comment_id = new.id;
end
--
create trigger comment_words_changed after update of words on comment when old.words <> new.words begin
    insert into comment_words (comment_words, rowid, words)
    select 'delete', row, old.words from comment_row where comment_id = new.id;
    insert into comment_words (rowid, words) select row, new.words from comment_row where comment_id = new.id;
end
--
create trigger comment_words_deleted after delete on comment begin
    insert into comment_words (comment_words, rowid, words)
    select 'delete', row, old.words from comment_row where comment_id = old.id;
    delete from comment_row where comment_id = old.id;
end
