create index comment_words on comment using gin (array_to_tsvector(string_to_array(words, ' ')))
