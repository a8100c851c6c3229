-- every search reads the whole list of what is not in the index yet, so it is kept to 256 KiB
create index comment_words on comment using gin (array_to_tsvector(string_to_array(words, ' ')))
with (gin_pending_list_limit = 256)
--
alter index task_words set (gin_pending_list_limit = 256)
