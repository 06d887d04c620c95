#!/bin/bash
# cov.sh FOLDER: line coverage of the sources, per file and in all, from the counters that a BUILD=cov run left in FOLDER.
set -euo pipefail

mapfile -t notes < <(find "$1/obj/common" "$1/obj/scheduler" "$1/obj/workers" "$1/obj/cli" -name '*.gcda' 2>/dev/null | sort)
if [ ${#notes[@]} = 0 ]; then
    echo "cov: no counters under $1; did the tests run?" >&2
    exit 1
fi
gcov -n -r "${notes[@]}" 2>/dev/null | awk '
    /^File / {file = $2; gsub(/\x27/, "", file)}
    /^Lines executed:/ && file ~ /\.c$/ {
        split($0, part, /[:% ]+/); percent = part[3]; lines = $NF
        printf "%6.1f %%  %5d lines  %s\n", percent, lines, file
        hit += percent / 100 * lines; all += lines; file = ""
    }
    END {printf "%6.1f %%  %5d lines  in all\n", all ? 100 * hit / all : 0, all}'
