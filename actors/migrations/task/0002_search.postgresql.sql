create index task_words on task using gin (array_to_tsvector(string_to_array(words, ' ')))
