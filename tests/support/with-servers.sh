#!/bin/bash
# with-servers.sh COMMAND [ARGUMENT…]: runs COMMAND with a private PostgreSQL 15 and a private Redis.
#
# Both listen on unix sockets in a fresh temporary folder, so any number of these run beside each other. COMMAND finds
# USHER_TEST_DATABASE_URL and USHER_TEST_REDIS_URL; its exit status is ours. Started as root, the servers run as `nobody`.
# Everything is stopped and removed at exit, also after a signal; after kill -9 of this script the servers die by their
# parent-death signal, and the next run removes the folder. PG_BINDIR names another PostgreSQL than the installed one.
set -u

die() {
    echo "with-servers: $*" >&2
    exit 3
}

[ $# -gt 0 ] || die "usage: with-servers.sh COMMAND [ARGUMENT…]"

bindir=${PG_BINDIR:-}
for candidate in /usr/lib/postgresql/15/bin "$(pg_config --bindir 2>/dev/null)"; do
    [ -z "$bindir" ] && [ -x "$candidate/initdb" ] && bindir=$candidate
done
[ -n "$bindir" ] || die "no PostgreSQL server found (Debian: postgresql-15)"
command -v redis-server >/dev/null || die "no redis-server found (Debian: redis-server)"
command -v setpriv >/dev/null || die "no setpriv found (Debian: util-linux)"

# A unix socket's path has 107 bytes at most.
base=${TMPDIR:-/tmp}
[ ${#base} -le 60 ] || base=/tmp

for old in "$base"/usher-test.*; do
    pid=${old#"$base"/usher-test.}
    pid=${pid%%.*}
    [ -d "$old" ] && [ -O "$old/owner" ] && ! kill -0 "$pid" 2>/dev/null && rm -rf "$old"
done

dir=$(mktemp -d "$base/usher-test.$$.XXXXXX") || die "no temporary folder in $base"
touch "$dir/owner"
mkdir "$dir/run"
drop=()
if [ "$(id -u)" = 0 ]; then
    chmod 711 "$dir"
    chown nobody "$dir/run"
    drop=(--reuid=nobody --regid="$(id -g nobody)" --clear-groups)
fi
chmod 700 "$dir/run"

pg_pid=
redis_pid=
child=
stop() {
    [ -z "$child" ] || kill -TERM "$child" 2>/dev/null && wait "$child"
    [ -z "$pg_pid" ] || kill -QUIT "$pg_pid" 2>/dev/null
    [ -z "$redis_pid" ] || kill -KILL "$redis_pid" 2>/dev/null
    wait
    rm -rf "$dir"
} 2>/dev/null
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# The servers must not keep our standard output open: a reader of a pipe would wait for them. The parent-death signal is
# set by setpriv itself, after the change of the user, which would clear it.
as_server() { # SIGNAL COMMAND…
    local signal=$1
    shift
    cd "$dir/run" && exec setpriv "${drop[@]}" --pdeathsig "$signal" -- env -i PATH="$PATH" HOME="$dir/run" LC_ALL=C.UTF-8 "$@"
}

(as_server KILL "$bindir/initdb" -D "$dir/run/pg" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync \
    --no-instructions) >"$dir/initdb.log" 2>&1 || { cat "$dir/initdb.log" >&2; die "initdb failed"; }
(as_server QUIT "$bindir/postgres" -D "$dir/run/pg" -k "$dir/run" -c listen_addresses= -c fsync=off \
    -c full_page_writes=off -c max_connections=200 -c shared_buffers=64MB -c log_min_messages=warning) \
    >"$dir/pg.log" 2>&1 </dev/null &
pg_pid=$!
(as_server KILL redis-server --port 0 --unixsocket "$dir/run/redis.sock" --dir "$dir/run" --save '' --appendonly no \
    --databases 256 --maxmemory-policy noeviction) >"$dir/redis.log" 2>&1 </dev/null &
redis_pid=$!

up() {
    "$bindir/pg_isready" -q -h "$dir/run" && [ "$(redis-cli -s "$dir/run/redis.sock" ping 2>/dev/null)" = PONG ]
}
for _ in $(seq 300); do
    up && break
    kill -0 "$pg_pid" 2>/dev/null || { cat "$dir/pg.log" >&2; die "PostgreSQL did not start"; }
    kill -0 "$redis_pid" 2>/dev/null || { cat "$dir/redis.log" >&2; die "Redis did not start"; }
    sleep 0.1
done
up || die "the servers were not ready within 30 s"

export USHER_TEST_DATABASE_URL="postgresql:///postgres?host=$dir/run&user=postgres"
export USHER_TEST_REDIS_URL="unix://$dir/run/redis.sock"
# In the background, so that a signal to us is handled at once; hence standard input is passed on by hand.
setpriv --pdeathsig TERM -- "$@" <&0 &
child=$!
wait "$child"
status=$?
child=
exit "$status"
