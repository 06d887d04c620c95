#!/bin/bash
# clang-tidy (.clang-tidy) over the programs' sources; arguments are compiler flags.
set -uo pipefail

find common scheduler workers cli -name '*.c' -print0 | sort -z |
    xargs -0 -r -n 4 -P "${JOBS:-2}" tests/tools/tidy-files.sh "$@" --
[ $? = 0 ] || exit 1
echo 'check-tidy: passed'
