#!/bin/bash
# check-docs.sh BUILD-FOLDER [--write]: the parts of the documents that are made from the code are current. With --write they are made anew.
set -euo pipefail

usher=$1/usher
write=${2:-}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0

# block NAME FILE: standard input is what stands between the markers of NAME.
block() {
    local name=$1 file=$2
    cat >"$scratch/new"
    awk -v name="$name" -v new="$scratch/new" '
        index($0, "<!-- " name ": end") {inside = 0}
        !inside {print}
        index($0, "<!-- " name ": begin") {inside = 1; found++; while ((getline line < new) > 0) print line}
        END {exit found == 1 && !inside ? 0 : 1}' "$file" >"$scratch/whole" ||
        { echo "check-docs: $file: no markers of $name"; failed=1; return; }
    if [ "$write" = --write ]; then
        cat "$scratch/whole" >"$file"
    elif ! diff -u --label "$file" --label "$file as the code says" "$file" "$scratch/whole"; then
        failed=1
    fi
}

outcomes() {
    printf '| code | outcome | final | |\n|---|---|---|---|\n'
    sed -nE 's/^ +X\(OUTCOME_[A-Z_]+, ([0-9]+), "([a-z_]+)", (true|false), "([^"]*)"\).*/| \1 | `\2` | \3 | \4 |/p' common/core/outcome.h |
        sed -e 's/| true |/| yes |/' -e 's/| false |/|  |/'
}
exit_codes() {
    echo '```'
    "$usher" help exit-codes
    echo '```'
}
# The rows of the retention list that have an age.
retention() {
    printf '| table | kept | what for |\n|---|---|---|\n'
    cat migrations/0*.sql | perl -0777 -ne '
        while (/\n    \(\x27(automation\w*\.\w+)\x27, (?:\x27[^\x27]*\x27|\$x\$.*?\$x\$), \x27([^\x27]+)\x27,.*?\x27((?:[^\x27]|\x27\x27)*)\x27\)[,;]/gs) {
            my ($table, $keep, $why) = ($1, $2, $3);
            $why =~ s/\x27\x27/\x27/g;
            print "| `$table` | $keep | $why |\n" if $keep =~ /^\d+ (hour|day|month|year)s?$/;
        }' | sort
}
block settings OPERATIONS.md < <("$usher" help settings-table)
block exit-codes OPERATIONS.md < <(exit_codes)
block outcomes PROTOCOL.md < <(outcomes)
block retention OPERATIONS.md < <(retention)

# Every command and every log event of the documents exists.
commands=$("$usher" help --json | sed -nE 's/.*"command":"([^"]*)".*/\1/p')
while read -r named; do
    grep -qxF -- "$named" <<<"$commands" || { echo "check-docs: \`usher $named\` is no command"; failed=1; }
done < <(grep -ohE '`usher [a-z]+( [a-z]+)?' ./*.md | sed -E 's/^`usher //' | sort -u | while read -r words; do
    grep -qxF -- "${words%% *}" <<<"$commands" && echo "${words%% *}" || echo "$words"
done | sort -u)
while read -r event; do
    grep -rqF "(\"$event\"" common scheduler workers cli --include='*.c' || { echo "check-docs: OPERATIONS.md: no log event $event"; failed=1; }
done < <(sed -n '/^| event | says/,/^$/p' OPERATIONS.md | grep -oE '`[a-z]+\.[a-z_]+`' | tr -d '`')

# Every fault cell that a table names in its last column exists.
while read -r cell; do
    grep -rqE "\((faults, )?$cell[,)]" tests/faults --include='*.c' || { echo "check-docs: $cell is no cell of tests/faults"; failed=1; }
done < <(cat PROTOCOL.md OPERATIONS.md | sed -n '/^|.* cell.*|$/,/^$/p' | sed -E 's/.*\| (.*) \|$/\1/' | grep -oE '`[a-z]+_[a-z_0-9]+`' | tr -d '`' | sort -u)

# The table of reasons for dead jobs has those that the code gives, and no others: literals, and of the variable ones what recipient.c sets.
dead_calls() {
    grep -rhoE --include='*.c' '\bexec_dead\(job, .*' workers
    grep -rhoE --include='*.c' '\b(bury\(job|dead\(|exec_park\(job|dead =|reason = err ==|no_recipient =).*' workers/exec.c workers/bare.c \
        scheduler/relieve.c common/core/recipient.c
    grep -rhoE "(end_unrun\([a-z_]+, |object\()'dead', '[a-z_]+'" migrations | sed -E "s/.*'([a-z_]+)'$/\"\1\"/"
}
code=$(dead_calls | sed -E 's/^exec_dead\(job, //; s/("[a-z_]+"( : "[a-z_]+")?).*/\1/' | grep -oE '"[a-z_]+"' | tr -d '"' | sort -u)
table=$(sed -n '/^| dead because/,/^$/p' OPERATIONS.md | sed -nE 's/^\| `([a-z_]+)`.*/\1/p' | sort)
diff -u --label 'reasons in OPERATIONS.md' --label 'reasons in the code' <(echo "$table") <(echo "$code") || failed=1

# The reference of rules knows every word of the validator and every operator.
while read -r word; do
    grep -qF -- "$word" RULES.md || { echo "check-docs: RULES.md does not say anything of $word"; failed=1; }
done < <(sed -nE 's/^ +X\([A-Z_]+, "([^" ]+)",.*/\1/p' common/core/vocab.h
    sed -nE 's/^ +X\(OP_[A-Z_]+, "([^"]+)",.*/\1/p' common/core/logic_priv.h)

# Links and paths lead somewhere.
while read -r path; do
    [ -e "$path" ] || [ "$path" = common/io/lua.h ] || # made by the build
         { echo "check-docs: $path is named in the documents and is not there"; failed=1; }
done < <({ grep -ohE '\]\([A-Za-z./_-]+\)' ./*.md | tr -d ']()'
    grep -ohE '`(common|scheduler|workers|cli|migrations|tests|deploy|examples)/[A-Za-z0-9_./-]+`' ./*.md | tr -d '`'; } | sort -u)

[ $failed = 0 ] && echo 'check-docs: passed'
exit $failed
