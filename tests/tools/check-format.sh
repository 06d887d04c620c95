#!/bin/sh
# Every C file is as clang-format writes it (`make fmt` puts it right).
set -eu

find common scheduler workers cli tests -name '*.[ch]' -print0 | xargs -0 -r clang-format --dry-run -Werror
echo 'check-format: passed'
