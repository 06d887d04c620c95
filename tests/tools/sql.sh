#!/bin/bash
# sql.sh BUILD-FOLDER [pg_prove OPTION…]: tests/sql/*.sql (pgTAP) against a private PostgreSQL with all migrations applied.
set -euo pipefail

build=$1
shift
shopt -s nullglob
files=(tests/sql/*.sql)
if [ ${#files[@]} = 0 ]; then
    echo 'sql: no tests'
    exit 0
fi
if [ -z "${USHER_TEST_DATABASE_URL:-}" ]; then
    exec tests/support/with-servers.sh "$0" "$build" "$@"
fi
DATABASE_URL=$USHER_TEST_DATABASE_URL "$build/usher" migrate up
psql -qX -v ON_ERROR_STOP=1 -d "$USHER_TEST_DATABASE_URL" -c 'create extension if not exists pgtap'
# pg_prove hands its -d on as PGDATABASE, in which libpq takes a name and no URL.
read -r PGHOST PGPORT PGUSER PGDATABASE < <(psql -qX -d "$USHER_TEST_DATABASE_URL" -c '\echo :HOST :PORT :USER :DBNAME')
export PGHOST PGPORT PGUSER PGDATABASE
pg_prove --quiet --failures "$@" "${files[@]}"
