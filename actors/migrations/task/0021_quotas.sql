-- a row to lock, for whoever counts what someone has created
create table creator (user_id text not null primary key)
