#!/bin/bash
# dev.sh [CASE…]: what `usher dev` promises, checked from outside on the real program. USHER_TEST_BIN names the folder of
# the programs (default build/debug). Every wait is for a condition with a limit; the last line says "N passed, N failed".
set -u

cd "$(dirname "$0")/../.." || exit 1
bin=${USHER_TEST_BIN:-$PWD/build/debug}
usher=$bin/usher
[ -x "$usher" ] || { echo "dev.sh: $usher is not there; build first"; exit 1; }
unset DATABASE_URL REDIS_URL USHER_CONFIG

base=$(mktemp -d /tmp/usher-e2e.XXXXXX) || exit 1
chmod 711 "$base"
passed=0
failed=0
case_name=
case_ok=
dev_pid=

fail() {
    echo "not ok - $case_name: $*"
    case_ok=no
}
expect() { # WHAT EXPECTED FOUND
    [ "$2" = "$3" ] || fail "$1: expected \"$2\", found \"$3\""
}
wait_for() { # SECONDS WHAT COMMAND…
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@"; do
        if [ $SECONDS -gt "$end" ]; then
            fail "timed out: $what"
            return 1
        fi
        sleep 0.05
    done
}

# Every living process that was started for the folder, by its arguments or its working folder. Zombies are nobody's work.
processes_of() {
    local p state
    for p in /proc/[0-9]*; do
        state=$(sed -E 's/^.*\) (.).*/\1/' "$p/stat" 2>/dev/null)
        [ -n "$state" ] && [ "$state" != Z ] || continue
        [ "${p#/proc/}" != $$ ] && [ "${p#/proc/}" != "$BASHPID" ] || continue
        if tr '\0' ' ' <"$p/cmdline" 2>/dev/null | grep -qF -- "$1" ||
            [[ "$(readlink "$p/cwd" 2>/dev/null)" == "$1"/* ]]; then
            echo "${p#/proc/}"
        fi
    done
}
no_process() {
    [ -z "$(processes_of "$1")" ]
}
gone() {
    ! kill -0 "$1" 2>/dev/null
}

start() { # DATA OPTION…: starts the stores in the background and waits until they are ready
    local data=$1
    shift
    : >"$base/ready" # emptied here, since the redirection below happens in the background
    : >"$base/log"
    "$usher" dev --no-children --no-migrate --json --data "$data" "$@" >"$base/ready" 2>"$base/log" &
    dev_pid=$!
    wait_for 60 "ready" ready_or_dead
    [ -s "$base/ready" ] || { fail "did not start: $(tail -3 "$base/log")"; return 1; }
}
ready_or_dead() {
    [ -s "$base/ready" ] || gone "$dev_pid"
}
value() { # KEY of the line that says ready
    sed -E "s/.*\"$1\":\"([^\"]*)\".*/\1/" "$base/ready"
}
sql() {
    psql -XAtq -d "$(value database_url)" -c "$1"
}
redis() {
    local url
    url=$(value redis_url)
    redis-cli -s "${url#unix://}" "$@"
}
stop() { # the exit code must be 0
    kill -TERM "$dev_pid"
    wait "$dev_pid"
    expect "exit code after SIGTERM" 0 $?
    dev_pid=
}

# ---- cases ---------------------------------------------------------------------------------------------------------------

case_stop_leaves_nothing() {
    local d=$base/stop
    start "$d" || return
    expect "fsync" on "$(sql 'show fsync')"
    expect "addresses listened on" '' "$(sql 'show listen_addresses')"
    expect "appendonly" yes "$(redis config get appendonly | tail -1)"
    expect "appendfsync" everysec "$(redis config get appendfsync | tail -1)"
    expect "policy when full" noeviction "$(redis config get maxmemory-policy | tail -1)"
    expect "snapshots" '' "$(redis config get save | tail -1)"
    expect "port" 0 "$(redis config get port | tail -1)"
    [ -f "$d/usher.conf" ] || fail "no usher.conf while it runs"
    stop
    no_process "$d" || fail "left: $(processes_of "$d")"
    [ ! -e "$d/usher.conf" ] || fail "usher.conf stayed"
    [ ! -e "$d/pg/postmaster.pid" ] || fail "PostgreSQL was not shut down"
}

case_sigint_stops_too() {
    local d=$base/stop
    start "$d" || return
    kill -INT "$dev_pid"
    wait "$dev_pid"
    expect "exit code after SIGINT" 0 $?
    no_process "$d" || fail "left: $(processes_of "$d")"
}

case_kill_9_leaves_nothing_and_data_stays() {
    local d=$base/kill
    start "$d" || return
    sql 'create table kept (n int); insert into kept values (42)'
    redis set kept 43 >/dev/null
    wait_for 10 "append-only file synced" grep -aq kept "$d"/redis/appendonlydir/*.incr.aof
    sql 'select pg_sleep(60)' >/dev/null 2>&1 & # a busy backend must go too
    local busy=$!
    kill -9 "$dev_pid"
    wait "$dev_pid" 2>/dev/null
    wait_for 10 "all processes gone after kill -9" no_process "$d"
    wait "$busy" 2>/dev/null
    [ -e "$d/run/redis.sock" ] || [ -e "$d/pg/postmaster.pid" ] || echo "# (nothing stale was left)"
    start "$d" || return
    expect "PostgreSQL's row" 42 "$(sql 'select n from kept')"
    expect "Redis's key" 43 "$(redis get kept)"
    stop
    no_process "$d" || fail "left: $(processes_of "$d")"
}

case_recovers_from_stale_files_of_a_reused_process_number() {
    local d=$base/kill
    # A postmaster.pid and a socket's lock file that name a living process of the servers' user are what a container's restart leaves.
    start "$d" || return
    local alive
    alive=$(head -1 "$d/pg/postmaster.pid")
    stop
    local owner
    owner=$(stat -c %U "$d/pg")
    as_owner "$owner" sleep 300 </dev/null >/dev/null 2>&1 &
    local sleeper=$!
    wait_for 5 "a process of $owner" test -d /proc/$sleeper
    printf '%s\n%s\n1\n5432\n%s\n\n' "$sleeper" "$d/pg" "$d/run" >"$d/pg/postmaster.pid"
    printf '%s\n' "$sleeper" >"$d/run/.s.PGSQL.5432.lock"
    chown "$owner" "$d/pg/postmaster.pid" "$d/run/.s.PGSQL.5432.lock"
    [ "$alive" != "$sleeper" ] || fail "test is void"
    start "$d" && stop
    gone "$sleeper" && fail "an unrelated process was ended"
    kill "$sleeper" 2>/dev/null
    wait "$sleeper" 2>/dev/null
}
as_owner() {
    if [ "$(id -un)" = "$1" ]; then
        shift
        exec "$@"
    fi
    exec setpriv --reuid="$1" --regid="$(id -g "$1")" --clear-groups -- "${@:2}"
}

case_ends_orphaned_servers() {
    local d=$base/kill orphan
    start "$d" || return
    orphan=$(head -1 "$d/pg/postmaster.pid")
    stop
    # A server without death signal on our data, as if the kernel had not sent it.
    (as_owner "$(stat -c %U "$d/pg")" "$(pg_bin)/postgres" -D "$d/pg" -k "$d/run" \
        -c listen_addresses= >/dev/null 2>&1 </dev/null) &
    wait_for 20 "orphan is up" test -S "$d/run/.s.PGSQL.5432"
    orphan=$(head -1 "$d/pg/postmaster.pid")
    start "$d" || return
    wait_for 1 "orphan ended" gone_or_zombie "$orphan"
    stop
    no_process "$d" || fail "left: $(processes_of "$d")"
}
pg_bin() {
    for b in /usr/lib/postgresql/15/bin "$(dirname "$(command -v postgres)")"; do
        [ -x "$b/postgres" ] && echo "$b" && return
    done
}
gone_or_zombie() {
    gone "$1" || grep -q ') Z' "/proc/$1/stat" 2>/dev/null
}

case_second_start_is_refused() {
    local d=$base/stop out
    start "$d" || return
    out=$(timeout 60 "$usher" dev --no-children --no-migrate --data "$d" 2>&1)
    expect "exit code of the second start" 4 $?
    [[ $out == *"process $dev_pid"* ]] || fail "the holder is not named: $out"
    expect "the first one works" 1 "$(sql 'select 1')"
    stop
}

case_servers_die_and_come_back() {
    local d=$base/stop pid
    start "$d" || return
    pid=$(head -1 "$d/pg/postmaster.pid")
    kill -9 "$pid"
    wait_for 30 "PostgreSQL is back" sql_works
    pid=$(redis info server | sed -n 's/^process_id:\([0-9]*\).*/\1/p')
    kill -9 "$pid"
    wait_for 30 "Redis is back" redis_works
    stop
    no_process "$d" || fail "left: $(processes_of "$d")"
}
sql_works() {
    [ "$(sql 'select 1' 2>/dev/null)" = 1 ]
}
redis_works() {
    [ "$(redis ping 2>/dev/null)" = PONG ]
}

case_long_path_uses_a_short_folder() {
    local d
    d=$base/$(printf 'long-%.0s' {1..20})/data
    mkdir -p "$(dirname "$d")"
    chmod 711 "$(dirname "$d")"
    start "$d" || return
    grep -q 'dev.folder' "$base/log" || fail "it was not said"
    [[ "$(value redis_url)" == unix:///tmp/usher-* ]] || fail "sockets at $(value redis_url)"
    expect "it works" 1 "$(sql 'select 1')"
    [ -f "$d/pg/PG_VERSION" ] || fail "the data is not in the data folder"
    stop
    remove_short_folder
}

remove_short_folder() {
    local folder
    folder=$(value redis_url)
    folder=${folder#unix://}
    folder=${folder%/run/redis.sock}
    [[ $folder == /tmp/usher-* ]] && rm -rf "$folder"
}

case_special_characters_in_the_path() {
    local d="$base/it's a \"folder\" & more"
    start "$d" || return
    expect "it works" 1 "$(sql 'select 1')"
    expect "Redis works" PONG "$(redis ping)"
    stop
    remove_short_folder
}

case_unreachable_folder_as_root() {
    [ "$(id -u)" = 0 ] || { echo "# not root: nothing to check"; return; }
    local d=$base/private/data runtime
    mkdir -m 700 "$base/private"
    start "$d" || return
    grep -q 'can not reach' "$base/log" || fail "it was not said"
    runtime=$(cat "$d/runtime")
    sql 'create table kept (n int)'
    stop
    chmod 711 "$base/private" # reachable now: the data must not seem lost
    start "$d" || return
    expect "the data is remembered" 0 "$(sql 'select count(*) from kept')"
    stop
    [[ $runtime == /var/tmp/usher-* || $runtime == /tmp/usher-* ]] && rm -rf "$runtime"
}

case_servers_run_unprivileged() {
    [ "$(id -u)" = 0 ] || { echo "# not root: nothing to check"; return; }
    local d=$base/stop p
    start "$d" || return
    for p in $(head -1 "$d/pg/postmaster.pid") $(redis info server | sed -n 's/^process_id:\([0-9]*\).*/\1/p'); do
        [ "$(stat -c %u "/proc/$p")" != 0 ] || fail "process $p runs as root"
    done
    expect "mode of the sockets' folder" 700 "$(stat -c %a "$d/run")"
    stop
}

case_command_exit_code_and_environment() {
    local d=$base/stop out
    out=$("$usher" dev --no-migrate --data "$d" --env 'GREETING=a=b, c' -- sh -c \
        'psql -XAtqc "select current_user"; redis-cli -s "${REDIS_URL#unix://}" ping; echo "$GREETING"; exit 7' 2>"$base/log")
    expect "exit code" 7 $?
    expect "output" $'postgres\nPONG\na=b, c' "$out"
    no_process "$d" || fail "left: $(processes_of "$d")"
    "$usher" dev --no-migrate --data "$d" -- sh -c 'kill -KILL $$' 2>"$base/log"
    expect "exit code of a killed command" 137 $?
    "$usher" dev --no-migrate --data "$d" -- /nonexistent/program 2>"$base/log"
    expect "exit code without the command" 69 $?
    no_process "$d" || fail "left: $(processes_of "$d")"
}

case_what_a_command_left_is_ended() {
    local d=$base/stop
    "$usher" dev --no-migrate --data "$d" -- sh -c 'setsid sleep 3210 & exit 0' >/dev/null 2>"$base/log"
    expect "exit code" 0 $?
    ! pgrep -f '^sleep 3210' >/dev/null || fail "an orphan of the command lives: $(pgrep -f '^sleep 3210')"
}

case_sigterm_ends_the_command() {
    local d=$base/stop
    "$usher" dev --no-migrate --data "$d" -- sh -c "echo up >'$base/up'; exec sleep 3211" 2>"$base/log" &
    dev_pid=$!
    wait_for 60 "command is up" test -s "$base/up"
    kill -TERM "$dev_pid"
    wait "$dev_pid"
    expect "exit code" 130 $?
    no_process "$d" || fail "left: $(processes_of "$d")"
    ! pgrep -f '^sleep 3211' >/dev/null || fail "the command lives"
}

# Stand-ins for scheduler and worker beside a copy of the program.
with_stand_ins() { # WORKER-SCRIPT
    mkdir -p "$base/bin"
    cp "$usher" "$base/bin/usher"
    printf '#!/bin/sh\nexec sleep 3212\n' >"$base/bin/usher-scheduler"
    printf '%s\n' "$1" >"$base/bin/usher-worker"
    chmod +x "$base/bin/usher-scheduler" "$base/bin/usher-worker"
}

case_programs_are_needed() {
    mkdir -p "$base/alone"
    cp "$usher" "$base/alone/usher"
    local out
    out=$("$base/alone/usher" dev --data "$base/none" 2>&1)
    expect "exit code without programs" 69 $?
    [[ $out == *usher-scheduler* ]] || fail "it is not said what is missing: $out"
    [ ! -d "$base/none/pg" ] || fail "stores were started for nothing"
}

case_programs_are_restarted_and_stopped() {
    local d=$base/stop
    : >"$base/ready"
    with_stand_ins $'#!/bin/sh\nprintf "%s %s\\n" "$DATABASE_URL" "$1" >>"'"$base"$'/started"\n[ $(wc -l <"'"$base"$'/started") -ge 3 ] || exit 1\nexec sleep 3213'
    "$base/bin/usher" dev --no-migrate --json --data "$d" --workers 1 --worker-arg=--one >"$base/ready" 2>"$base/log" &
    dev_pid=$!
    wait_for 60 "third start of the worker" third_start
    expect "argument of the worker" --one "$(tail -1 "$base/started" | cut -d' ' -f2)"
    wait_for 60 "ready" test -s "$base/ready"
    stop
    ! pgrep -f '^sleep 321[23]' >/dev/null || fail "a program lives"
}
third_start() {
    [ -f "$base/started" ] && [ "$(wc -l <"$base/started")" -ge 3 ]
}

case_wrong_settings_of_a_program_end_it_all() {
    local d=$base/stop
    with_stand_ins $'#!/bin/sh\nexit 78'
    "$base/bin/usher" dev --no-migrate --data "$d" --workers 1 >/dev/null 2>"$base/log"
    expect "exit code" 78 $?
    no_process "$d" || fail "left: $(processes_of "$d")"
}

case_kill_9_ends_programs_that_ignore_sigterm() {
    local d=$base/stop
    with_stand_ins $'#!/bin/sh\ntrap "" TERM INT\necho up >"'"$base"$'/worker-up"\nwhile :; do sleep 0.2; done # '"$d"
    "$base/bin/usher" dev --no-migrate --data "$d" --workers 1 >/dev/null 2>"$base/log" &
    dev_pid=$!
    wait_for 60 "worker is up" test -s "$base/worker-up"
    kill -9 "$dev_pid"
    wait "$dev_pid" 2>/dev/null
    wait_for 10 "all gone" no_process "$d"
    wait_for 5 "worker is gone" no_process "$base/bin"
}

case_second_signal_is_immediate() {
    local d=$base/stop began
    with_stand_ins $'#!/bin/sh\ntrap "" TERM INT\necho up >"'"$base"$'/stubborn-up"\nwhile :; do sleep 0.2; done'
    "$base/bin/usher" dev --no-migrate --data "$d" --workers 1 >/dev/null 2>"$base/log" &
    dev_pid=$!
    wait_for 60 "worker is up" test -s "$base/stubborn-up"
    began=$SECONDS
    kill -TERM "$dev_pid"
    wait_for 10 "stop began" grep -q dev.stop "$base/log"
    kill -TERM "$dev_pid" # within half a second it is the same request, as timeout(1) sends it
    wait_for 12 "ended by further signals" gone_after_signal
    wait "$dev_pid"
    [ $((SECONDS - began)) -lt 12 ] || fail "took $((SECONDS - began)) s"
    no_process "$d" || fail "left: $(processes_of "$d")"
}

gone_after_signal() {
    kill -TERM "$dev_pid" 2>/dev/null
    gone_or_zombie "$dev_pid"
}

case_migrates_and_makes_logins() {
    local d=$base/migrated out
    out=$("$usher" dev --data "$d" -- sh -c 'psql -XAtqd "$WORKER_DATABASE_URL" -c "select current_user"
        psql -XAtqd "$SCHEDULER_DATABASE_URL" -c "select current_user"; "$0" migrate status >/dev/null && "$0" health >/dev/null && echo healthy' \
        "$usher" 2>"$base/log")
    expect "exit code" 0 $?
    expect "logins" $'usher_worker\nusher_scheduler\nhealthy' "$out"
}

# ---- running them ------------------------------------------------------------------------------------------------------------

cleanup() {
    [ -z "$dev_pid" ] || kill -9 "$dev_pid" 2>/dev/null
    wait_for 10 "cleanup" no_process "$base"
    rm -rf "$base"
}
trap cleanup EXIT

cases=("$@")
[ $# -gt 0 ] || mapfile -t cases < <(declare -F | sed -n 's/^declare -f case_/case_/p')
for case_name in "${cases[@]}"; do
    case_name=case_${case_name#case_}
    case_ok=yes
    "$case_name"
    if [ $case_ok = yes ]; then
        passed=$((passed + 1))
        echo "ok - $case_name"
    else
        failed=$((failed + 1))
        [ ! -s "$base/log" ] || sed 's/^/#   /' "$base/log" | tail -5
        [ -z "$dev_pid" ] || kill -9 "$dev_pid" 2>/dev/null
    fi
    dev_pid=
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
