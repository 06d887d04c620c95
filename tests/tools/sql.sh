#!/bin/bash
# sql.sh BUILD-FOLDER [pg_prove OPTION…]: tests/sql/*.sql (pgTAP) against a private PostgreSQL with all migrations applied; then those of host tables and of
# isolation once more on one that looks like Supabase's (tests/support/supabase.sql), where a `postgres` that is no superuser has installed the schema.
set -euo pipefail

if [ -z "${USHER_TEST_DATABASE_URL:-}" ]; then
    USHER_TEST_SERVER=plain tests/support/with-servers.sh "$0" "$@"
    USHER_TEST_SERVER=supabase exec tests/support/with-servers.sh "$0" "$@"
fi
build=$1
shift
prove() { # USER FILE…
    PGUSER=$1 pg_prove --quiet --failures "${options[@]}" "${@:2}"
}
options=("$@")
# pg_prove hands its -d on as PGDATABASE, in which libpq takes a name and no URL.
read -r PGHOST PGPORT PGUSER PGDATABASE < <(psql -qX -d "$USHER_TEST_DATABASE_URL" -c '\echo :HOST :PORT :USER :DBNAME')
export PGHOST PGPORT PGUSER PGDATABASE
superuser=$PGUSER
if [ "${USHER_TEST_SERVER:-plain}" = supabase ]; then
    psql -qX -v ON_ERROR_STOP=1 -f tests/support/supabase.sql
    superuser=supabase_admin
fi
DATABASE_URL=$USHER_TEST_DATABASE_URL "$build/usher" migrate up
psql -qX -v ON_ERROR_STOP=1 -U "$superuser" -c 'create extension if not exists pgtap'
if [ "$superuser" = "$PGUSER" ]; then
    prove "$PGUSER" tests/sql/*.sql
else
    echo 'the same on a server like those of Supabase:'
    prove "$PGUSER" tests/sql/source*.sql
    prove "$superuser" tests/sql/isolation.sql # it switches triggers off, which takes a superuser
fi
