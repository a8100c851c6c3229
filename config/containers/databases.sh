#!/bin/sh
# A database and a role of its own for every <ACTOR>_STORE_PASSWORD in the environment of PostgreSQL's container.
# It runs when the cluster is made, and may be run again for a new actor or a changed password:
#   docker compose exec postgres sh /docker-entrypoint-initdb.d/databases.sh
set -eu

for variable in $(env | sed -n 's/^\([A-Z][A-Z0-9]*_STORE_PASSWORD\)=.*/\1/p'); do
    actor=$(printf %s "${variable%_STORE_PASSWORD}" | tr A-Z a-z)
    # passwords go through the environment: arguments can be seen in the list of processes
    password=$(printenv "$variable") psql -qv ON_ERROR_STOP=1 -v "name=troupe_$actor" -U postgres <<'SQL'
\getenv password password
select format('create role %I login', :'name') where not exists (select from pg_roles where rolname = :'name') \gexec
alter role :"name" password :'password';
select format('create database %I owner %I', :'name', :'name')
where not exists (select from pg_database where datname = :'name') \gexec
revoke all on database :"name" from public;
SQL
done

# The superuser comes in by the socket inside the container, and by no other way.
psql -qv ON_ERROR_STOP=1 -U postgres -c 'alter role postgres password null'
