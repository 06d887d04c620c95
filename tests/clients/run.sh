#!/bin/bash
# The doors through Redis clients of other languages, which follow PROTOCOL.md alone.
#
#     run.sh build/debug
#
# Starts a real system with `usher dev` around itself and runs client.py and client.mjs against it. What is not installed is skipped, with
# the reason; npm's packages go into build/clients.
set -u

cd "$(dirname "$0")/../.." || exit 1
bin=$PWD/${1:?usage: run.sh build/debug}

if [ -z "${CLIENTS_DIR:-}" ]; then
    unset DATABASE_URL REDIS_URL USHER_CONFIG
    CLIENTS_DIR=$(mktemp -d /tmp/usher-clients.XXXXXX) || exit 1
    export CLIENTS_DIR
    chmod 711 "$CLIENTS_DIR"
    trap 'rm -rf "$CLIENTS_DIR"' EXIT
    "$bin/usher" dev --data "$CLIENTS_DIR/data" --children -- "$0" "$1" 2>"$CLIENTS_DIR/log"
    status=$?
    [ $status = 0 ] || tail -5 "$CLIENTS_DIR/log"
    exit $status
fi

skip() {
    echo "clients: SKIPPED $1"
}

node_packages() {
    local to=$PWD/build/clients
    command -v node >/dev/null 2>&1 || { skip 'Node, it is not installed'; return 1; }
    command -v npm >/dev/null 2>&1 || { skip 'Node, npm is not installed'; return 1; }
    mkdir -p "$to"
    cmp -s tests/clients/package.json "$to/installed.json" && return 0
    cp tests/clients/package.json "$to/package.json"
    if ! (cd "$to" && npm install --no-package-lock --no-audit --no-fund --ignore-scripts --loglevel=error >install.log 2>&1); then
        skip 'Node, npm could not install the packages (no network?)'
        return 1
    fi
    cp tests/clients/package.json "$to/installed.json"
}

psql -XAtq -d "$DATABASE_URL" >/dev/null <<'SQL' || exit 1
insert into automation.tenants (tenant_id, name) values ('10000000-0000-4000-8000-000000000001', 'Studio');
insert into automation.weddings (tenant_id, wedding_id, title, status, time_zone, ceremony_date)
values ('10000000-0000-4000-8000-000000000001', '20000000-0000-4000-8000-000000000001', 'A & B', 'booked', 'Europe/Lisbon', current_date + 300);
SQL
rc=0
/usr/bin/python3 tests/clients/client.py || rc=1
if node_packages; then
    USHER_NODE=$PWD/build/clients node tests/clients/client.mjs || rc=1
fi
exit $rc
