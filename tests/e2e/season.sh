#!/bin/bash
# season.sh: a small season through the real system, four times: twice undisturbed, once while workers and the scheduler are killed at random,
# and once for people to read. All must give the same runs, jobs, tasks, Message-IDs and webhooks, with nothing unaccounted for; repeats of outward actions
# are counted and no more than actions in progress at the kills. Also: bad lines of a season file, and --strict.
# USHER_TEST_BIN names the folder of the programs (default build/debug). The last line says "N passed, N failed".
set -u

cd "$(dirname "$0")/../.." || exit 1
bin=${USHER_TEST_BIN:-$PWD/build/debug}
usher=$bin/usher
[ -x "$usher" ] || { echo "season.sh: $usher is not there; build first"; exit 1; }
unset DATABASE_URL REDIS_URL USHER_CONFIG

base=$(mktemp -d /tmp/usher-season.XXXXXX) || exit 1
chmod 711 "$base"
trap 'rm -rf "$base"' EXIT
passed=0
failed=0

check() { # WHAT COMMAND…
    local what=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
        echo "ok - $what"
    else
        failed=$((failed + 1))
        echo "not ok - $what"
    fi
}
field() { # FILE NAME: a number of the summary
    sed -E "s/.*\"$2\":([0-9]+).*/\\1/" "$1"
}
digests() {
    grep -o '"digests":{[^}]*}' "$1"
}
play() { # NAME OPTION…
    local name=$1
    shift
    timeout 300 "$usher" demo --data "$base/$name" --season "$base/season" "$@" >"$base/$name.json" 2>"$base/$name.err" && return 0
    tail -n 5 "$base/$name.err"
    return 1
}
same() {
    [ -n "$(digests "$1")" ] && [ "$(digests "$1")" = "$(digests "$2")" ]
}
at_least() { # NUMBER LEAST
    [ "$1" -ge "$2" ]
}

check 'a season is generated' "$usher" season generate "$base/season" --weddings 12 --seed 11
"$usher" season generate "$base/again" --weddings 12 --seed 11
check 'the same seed gives the same season' diff -r "$base/season" "$base/again"

# The host asks for a job of the cancelled wedding when it is too late.
sed -nE 's/"at":"([0-9-]+)T[^"]*"/"at":"\1T23:59:00Z"/; s/"event":\{.*\},"set":\{"status":"cancelled"\}/"enqueue":{"key":"too-late","kind":"gallery.render"}/p' \
    "$base/season/events.jsonl" >"$base/too-late"
check 'a wedding is cancelled' [ "$(wc -l <"$base/too-late")" = 1 ]
cat "$base/too-late" >>"$base/season/events.jsonl"

check 'it plays to its end' play first --json
# The season has one of each.
for what in moved postponed cancelled; do
    check "a wedding is $what, with what became of it" grep -q "\"planned\":[0-9]*,\"sent\":[0-9]*,\"sent_after\":[0-9]*,\"superseded\":[0-9]*,\"title\":\"[^\"]*\",\"to\":[^,]*,\"told\":[0-9]*,\"unscheduled\":[0-9]*,\"wedding\":\"[^\"]*\",\"what\":\"$what\"" "$base/first.json"
done
check 'moves have a diff' grep -q '"moved":[1-9]' "$base/first.json"
check 'jobs of moved weddings were superseded' grep -q '"superseded":[1-9]' "$base/first.json"
check 'some had been sent before' grep -q '"sent":[1-9]' "$base/first.json"
check 'those of cancelled weddings ended' grep -q '"cancelled":[1-9][0-9]*,"from"' "$base/first.json"
check 'the couple is told of a cancellation' grep -q '"told":[1-9]' "$base/first.json"
check 'and gets nothing else after it' [ "$(field "$base/first.json" sent_after_cancellation)" = 0 ]
check 'nothing is unaccounted for' [ "$(field "$base/first.json" unaccounted)" = 0 ]
check 'mails were accepted' at_least "$(field "$base/first.json" mails)" 20
check 'it plays again' play second --json
check 'nothing goes out after a cancellation again' [ "$(field "$base/second.json" sent_after_cancellation)" = 0 ]
check 'both plays are the same' same "$base/first.json" "$base/second.json"
check 'it plays while processes are killed' play chaos --json --chaos --seed 3
kills=$(field "$base/chaos.json" kills)
check 'processes were killed' at_least "$kills" 1
check 'the disturbed play is the same' same "$base/first.json" "$base/chaos.json"
check 'no message after a cancellation after kills' [ "$(field "$base/chaos.json" sent_after_cancellation)" = 0 ]
check 'nothing is unaccounted for after kills' [ "$(field "$base/chaos.json" unaccounted)" = 0 ]
check 'repeats are no more than actions in progress' at_least $((64 * kills)) "$(field "$base/chaos.json" duplicates)"

# ---- the same for people ----
check 'it plays for people to read' play people
told() { # PATTERN
    grep -qE "^  20[0-9-]{8} $1" "$base/people.json"
}
check 'a move is told' told 'moved .*: [0-9]+ already sent, [1-9][0-9]* moved, [0-9]+ now past; jobs superseded [1-9][0-9]*, cancelled 0; sent after it [0-9]+$'
check 'a postponement is told' told 'postponed .* to no date: [0-9]+ already sent, [1-9][0-9]* no longer planned; jobs superseded [0-9]+, cancelled 0; sent after it 0$'
check 'so is the new date' told 'moved .*, no date to 20[0-9-]{8}: [0-9]+ already sent, [1-9][0-9]* planned again; .*sent after it [1-9][0-9]*$'
check 'a cancellation is told' told 'cancelled .*: [1-9][0-9]* already sent, [1-9][0-9]* no longer planned; jobs superseded 0, cancelled [1-9][0-9]*; nothing sent after it but [1-9][0-9]* that tell of it$'

# ---- bad lines: reported with file and number, the others load; --strict refuses all ----
cp -r "$base/season" "$base/bad"
{ sed -n 1p "$base/season/weddings.jsonl"; } | sed 's/"time_zone":"[^"]*"/"time_zone":"Mars\/Base"/; s/"id":"[0-9a-f]\{8\}/"id":"ffffffff/' >>"$base/bad/weddings.jsonl"
echo 'not json' >>"$base/bad/vendors.jsonl"
lines=$(wc -l <"$base/bad/weddings.jsonl")
load() { # OPTION…
    timeout 120 "$usher" dev --data "$base/load" -- "$usher" season load "$@" "$base/bad" >"$base/load.out" 2>"$base/load.err"
}
load --strict
check '--strict refuses a season with bad lines' grep -q 'nothing was loaded' "$base/load.err"
load
check 'a bad line is named' grep -q "weddings.jsonl:$lines: time zone 'Mars/Base'" "$base/load.err"
check 'a line that is no JSON is named' grep -q 'vendors.jsonl:[0-9]*: column' "$base/load.err"
check 'the others load' grep -q '12 weddings\|[0-9]* weddings, [0-9]* events loaded, 2 bad lines' "$base/load.out"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
