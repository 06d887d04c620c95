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
pg_prove --quiet --failures -d "$USHER_TEST_DATABASE_URL" "$@" "${files[@]}"
