#!/bin/sh
# The same random rules through json-logic-js and through usher-conformance; any difference fails.
#
#     differential.sh path/to/usher-conformance [COUNT] [SEED]
#
# JSON_LOGIC_JS names the module when it is not installed beside this script. Without node or the module: says so and passes.
set -eu

runner=${1:?usage: differential.sh path/to/usher-conformance [COUNT] [SEED]}
count=${2:-20000}
seed=${3:-1}
here=$(dirname "$0")

if ! command -v node >/dev/null 2>&1; then
    echo "differential: skipped, node is not installed"
    exit 0
fi
if ! (cd "$here" && node -e "require(process.env.JSON_LOGIC_JS || 'json-logic-js')") 2>/dev/null; then
    echo "differential: skipped, the npm module json-logic-js is not installed (or set JSON_LOGIC_JS)"
    exit 0
fi
suite=$(mktemp)
trap 'rm -f "$suite"' EXIT
node "$here/differential.js" "$count" "$seed" >"$suite"
echo "differential: $count rules, seed $seed"
"$runner" "$suite"
