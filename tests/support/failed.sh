#!/bin/bash
# failed.sh [FILE…]: the tests that failed by these reports in TAP, each with the words under it; files that are not there say nothing.
cat -- "$@" 2>/dev/null </dev/null | awk '/^not ok/ { on = 1; print; next } /^ / { if (on) print; next } { on = 0 }'
