#!/bin/bash
# Layers point down: base ← core ← io ← programs; every third-party library is seen by the files named here alone.
# A header that includes such a library is private to the files that may.
set -uo pipefail

failed=0
fail() {
    echo "check-layers: $*"
    failed=1
}

# includes FOLDER…: "file:line:header" of every include, quotes and angles kept.
includes() {
    find "$@" -name '*.[ch]' -print0 2>/dev/null |
        xargs -0 -r grep -nEH '^[[:space:]]*#[[:space:]]*include' | sed -E 's/^([^:]*:[0-9]+):[^"<]*(["<][^">]*[">]).*/\1:\2/'
}

# may FOLDER REGEX: quoted includes of the folder's files match REGEX.
may() {
    while read -r line; do
        fail "${line%%:\"*} includes ${line#*:*:}: $1 may include $2 only"
    done < <(includes "$1" | grep ':"' | grep -vE ":\"($2)")
}

may common/base 'common/base/'
may common/core 'common/(base|core)/'
may common/io 'common/(base|core|io)/'
may scheduler '(common|scheduler)/'
may workers '(common|workers)/'
may cli '(common|cli)/'
may tests '(common|scheduler|workers|cli|tests)/'

# only LIBRARY HEADERS FILES: headers that match are included by files that match, tests aside.
only() {
    local private
    while read -r line; do
        fail "${line%%:<*} includes ${line#*:*:}: $1 belongs to $3"
    done < <(includes common scheduler workers cli | grep -E ":<($2)" | grep -vE "^($3)")
    for private in $(includes common scheduler workers cli | grep -E ":<($2)" | grep -oE '^[^:]*\.h'); do
        while read -r line; do
            fail "${line%%:\"*} includes $private, which shows $1 and so belongs to $3"
        done < <(includes common scheduler workers cli | grep -F ":\"$private\"" | grep -vE "^($3)")
    done
}

only hiredis 'hiredis|async\.h|read\.h>' 'common/io/rconn[a-z_]*\.[ch]'
only libpq 'libpq|postgres' 'common/io/db[a-z_]*\.[ch]'
only libcurl 'curl/' 'common/io/outbound[a-z_]*\.[ch]'
only zstd 'zstd' 'common/io/archive_file\.c'
only libuv 'uv\.h|uv/' 'common/io/[a-z_]*\.[ch]'

while read -r line; do
    fail "${line%%:<*} includes ${line#*:*:}: base is libc only"
done < <(includes common/base | grep -E ':<(uv|jansson|msgpack|hiredis|libpq|curl|openssl|zstd|microhttpd)')

# Core is pure: time, randomness and the environment come in as arguments.
while read -r line; do
    fail "$line: core takes time and randomness as arguments"
done < <(grep -nE '\b(time|clock_[a-z_]+|gettimeofday|getrandom|rand|random|id_new|getenv)\(|"common/base/clock\.h"' \
    -r common/core --include='*.[ch]' | grep -vE '^[^:]*:[0-9]+:[[:space:]]*(/?\*|//)')

[ $failed = 0 ] && echo 'check-layers: passed'
exit $failed
