#!/bin/bash
# tidy-files.sh FLAG… -- FILE…: clang-tidy without its chatter; fails when it found anything.
set -uo pipefail

flags=()
while [ "$1" != -- ]; do
    flags+=("$1")
    shift
done
shift
output=$(clang-tidy --quiet --warnings-as-errors='*' "$@" -- "${flags[@]}" 2>/dev/null)
status=$?
[ -z "$output" ] || echo "$output"
exit $status
