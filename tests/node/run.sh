#!/bin/sh
# Rules against other people's implementations: JSON Schema (ajv), react-querybuilder, json-logic-js; offsets against luxon.
#
#     run.sh build/debug
#
# Installs what package.json pins into build/node, then runs every .mjs beside this script and the differential test, with a
# private PostgreSQL that has all migrations. Without node, npm or a way to the packages: says so and passes.
set -eu

bin=${1:?usage: run.sh build/debug}
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
to=$root/build/node

skip() {
    echo "node: SKIPPED, $1"
    exit 0
}

command -v node >/dev/null 2>&1 || skip 'node is not installed'
command -v npm >/dev/null 2>&1 || skip 'npm is not installed'
mkdir -p "$to"
if ! cmp -s "$here/package.json" "$to/installed.json"; then
    cp "$here/package.json" "$to/package.json"
    # Peer dependencies are other query languages, which nothing here speaks.
    if ! (cd "$to" && npm install --no-package-lock --no-audit --no-fund --legacy-peer-deps --ignore-scripts --loglevel=error \
        >install.log 2>&1); then
        tail -n 5 "$to/install.log"
        skip 'npm could not install the packages (no network?)'
    fi
    cp "$here/package.json" "$to/installed.json"
fi

if [ -z "${USHER_TEST_DATABASE_URL:-}" ]; then
    exec "$root/tests/support/with-servers.sh" "$0" "$bin"
fi
DATABASE_URL=$USHER_TEST_DATABASE_URL "$bin/usher" migrate up

rc=0
for test in "$here"/*.mjs; do
    USHER_BIN=$(cd "$bin" && pwd) USHER_NODE=$to node "$test" || rc=1
done
JSON_LOGIC_JS=$to/node_modules/json-logic-js "$root/tests/conformance/differential.sh" "$bin/usher-conformance" 20000 1 || rc=1
exit $rc
