#!/bin/sh
# Prints a header that holds every given Redis script as text: common/io/trim.lua becomes `lua_trim`.
set -eu

echo '/* Made by embed-lua.sh from the .lua files beside the includer. */'
echo '#ifndef COMMON_IO_LUA_H'
echo '#define COMMON_IO_LUA_H'
for file in "$@"; do
    name=$(basename "$file" .lua | tr -c 'a-z0-9\n' '_')
    printf '\nstatic const char lua_%s[] =\n' "$name"
    sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/    "/' -e 's/$/\\n"/' "$file"
    echo '    ;'
done
echo
echo '#endif'
