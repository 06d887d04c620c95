#!/bin/sh
# cppcheck over the programs' sources; arguments are include folders. Exceptions stand beside the code they are for
# (`cppcheck-suppress`) or, where the checker is wrong in general, here:
#   missingIncludeSystem, unmatchedSuppression: about the checker's own view, not about the code
#   normalCheckLevelMaxBranches, toomanyconfigs: notes on how far it looked
#   constParameterCallback: signatures are fixed by the callback's type
#   uninitvar: takes the address of a variable for its value; the compilers and clang-tidy follow the flow better
set -eu

find common scheduler workers cli -name '*.c' -print0 | xargs -0 -r cppcheck --quiet -j "${JOBS:-2}" --std=c11 --language=c \
    --enable=warning,performance,portability --inline-suppr --error-exitcode=1 -D_GNU_SOURCE -DUSHER_VERSION='""' \
    -DUSHER_DATA_DIR='""' --library=tests/tools/cppcheck.cfg "$@" \
    --suppress=missingIncludeSystem --suppress=unmatchedSuppression --suppress=normalCheckLevelMaxBranches \
    --suppress=toomanyconfigs --suppress=constParameterCallback --suppress=uninitvar
echo 'check-cppcheck: passed'
