#!/bin/bash
# What neither a compiler nor clang-format sees: banned calls, sizes, include guards, leftovers.
set -uo pipefail

max_file_lines=500
max_function_lines=80
max_columns=140 # of comments; code is clang-format's business

failed=0
fail() {
    echo "check-style: $*"
    failed=1
}

mapfile -t sources < <(find common scheduler workers cli tests -name '*.[ch]' | sort)

# Calls without bounds, without error reporting, or with hidden state.
banned='strcpy|strcat|sprintf|vsprintf|strtok|strtok_r|atoi|atol|atoll|atof|gets|alloca|strncpy|strncat|scanf|sscanf|fscanf'
banned+='|system|popen|tmpnam|mktemp|setjmp|longjmp|asctime|ctime|gmtime|localtime|rand|srand|strerror_r|usleep'
while read -r line; do
    fail "$line: banned call"
done < <(grep -nE "(^|[^a-zA-Z0-9_])($banned)\(" "${sources[@]}" | grep -vE '^[^:]*:[0-9]+:[[:space:]]*(/\*|\*|//|"|LOG)')

# Memory comes from mem.h, so that its failure is handled in one place (tests may use libc, and free() is for what libraries gave).
while read -r line; do
    fail "$line: use mem_alloc, mem_try_alloc, mem_strdup"
done < <(grep -nE '(^|[^a-zA-Z0-9_.>])(malloc|calloc|realloc|strdup|strndup)\(' "${sources[@]}" |
    grep -vE '^(tests/|common/base/mem\.c)' | grep -vE '^[^:]*:[0-9]+:[[:space:]]*(/\*|\*)')

while read -r lines file; do
    [ "$file" = total ] || [ "$lines" -le $max_file_lines ] || fail "$file has $lines lines; the limit is $max_file_lines"
done < <(wc -l "${sources[@]}")

while read -r length name place; do
    fail "$place: $name has $length lines; the limit is $max_function_lines"
done < <(ctags -x --kinds-C=f --fields=+ne --_xformat='%{end} %{line} %{name} %{input}' "${sources[@]}" |
    awk -v max=$max_function_lines '$1 - $2 + 1 > max {print $1 - $2 + 1, $3, $4 ":" $2}')

for file in "${sources[@]}"; do
    [[ $file == *.h ]] || continue
    guard=$(tr 'a-z/.-' 'A-Z___' <<<"$file")
    [ "$(grep -m1 '^#ifndef' "$file")" = "#ifndef $guard" ] || fail "$file: the include guard should be $guard"
done

while read -r line; do
    fail "$line: longer than $max_columns columns"
done < <(LC_ALL=C.UTF-8 grep -nE "^.{$((max_columns + 1)),}" "${sources[@]}" | cut -d: -f1,2)

mapfile -t texts < <(git ls-files -co --exclude-standard 2>/dev/null | grep -vE '\.(png|woff2?|ico)$')
[ ${#texts[@]} -gt 0 ] || mapfile -t texts < <(find . -type f -not -path './build/*' -not -path './.git/*')
while read -r line; do
    fail "$line: finish it or leave it out"
done < <(grep -nIE '\b(TO''DO|FIX''ME|X''XX)\b' "${texts[@]}" 2>/dev/null | cut -c1-150)
while read -r line; do
    fail "$line: a path of one machine"
done < <(grep -nIE '(^|[^a-zA-Z0-9_.)}*])/(wor''k|tmp/bri''ef|home/[a-z]+)/' "${texts[@]}" 2>/dev/null | cut -c1-150)
while read -r line; do
    fail "$line: blank at the end of the line"
done < <(grep -nIE '[[:blank:]]$' "${sources[@]}" 2>/dev/null | cut -d: -f1,2)

[ $failed = 0 ] && echo 'check-style: passed'
exit $failed
