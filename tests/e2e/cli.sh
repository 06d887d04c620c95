#!/bin/bash
# cli.sh [CASE…]: the operator's commands on a real system, which `usher dev` starts around this script. USHER_TEST_BIN names the
# folder of the programs (default build/debug). Every wait is for a condition with a limit; the last line says "N passed, N failed".
set -u

cd "$(dirname "$0")/../.." || exit 1
bin=${USHER_TEST_BIN:-$PWD/build/debug}
usher=$bin/usher
[ -x "$usher" ] || { echo "cli.sh: $usher is not there; build first"; exit 1; }

if [ -z "${CLI_BASE:-}" ]; then
    unset DATABASE_URL REDIS_URL USHER_CONFIG
    CLI_BASE=$(mktemp -d /tmp/usher-cli.XXXXXX) || exit 1
    export CLI_BASE
    chmod 711 "$CLI_BASE"
    trap 'rm -rf "$CLI_BASE"' EXIT
    "$usher" dev --data "$CLI_BASE/data" --children -- "$0" "$@" 2>"$CLI_BASE/log"
    status=$?
    [ $status = 0 ] || sed 's/^/#   /' "$CLI_BASE/log" | tail -5
    exit $status
fi

passed=0
failed=0
case_name=
case_ok=
code=0
out=

fail() {
    echo "not ok - $case_name: $*"
    case_ok=no
}
expect() { # WHAT EXPECTED FOUND
    [ "$2" = "$3" ] || fail "$1: expected \"$2\", found \"$3\""
}
contains() { # WHAT TEXT FOUND
    [[ $3 == *"$2"* ]] || fail "$1: \"$2\" is not in \"$3\""
}
run() { # CODE ARGUMENT…: the command's output is in $out, both streams
    local expected=$1
    shift
    out=$("$usher" "$@" 2>&1)
    code=$?
    expect "exit code of usher $*" "$expected" "$code"
}
field() { # PYTHON-EXPRESSION over `d`, the JSON in $out
    python3 -c 'import json, sys; d = json.load(sys.stdin); print(eval(sys.argv[1]))' "$1" <<<"$out" 2>&1
}
wait_for() { # SECONDS WHAT COMMAND…
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@"; do
        if [ $SECONDS -gt "$end" ]; then
            fail "timed out: $what"
            return 1
        fi
        sleep 0.05
    done
}
sql() {
    psql -XAtq -d "$DATABASE_URL" -c "$1"
}
redis() {
    redis-cli -s "${REDIS_URL#unix://}" "$@"
}
state_is() { # ID STATE
    out=$("$usher" job show "$1" --json 2>/dev/null) && [ "$(field 'd["state"]')" = "$2" ]
}
dead_with() { # SQL condition
    [ "$(sql "select count(*) from automation.dead_letters where $1")" -ge 1 ]
}

# ---- cases -----------------------------------------------------------------------------------------------------------------------

case_enqueue_by_sql_is_executed() {
    run 0 enqueue noop '{"a":[1,2]}' --json
    expect created True "$(field 'd["created"]')"
    local id
    id=$(field 'd["id"]')
    wait_for 20 "job $id done" state_is "$id" done || return
    expect attempts 1 "$(field 'len(d["attempts"])')"
    expect outcome done "$(field 'd["attempts"][0]["outcome"]')"
    run 0 job show "$id"
    contains "table" "state:        done" "$out"
}

case_enqueue_a_held_key_gives_the_job_that_holds_it() {
    run 0 enqueue noop --key once --at 1h --json
    local id
    id=$(field 'd["id"]')
    run 0 enqueue noop --key once --json
    expect "second id" "$id" "$(field 'd["id"]')"
    expect "created" False "$(field 'd["created"]')"
    run 0 job show "$id" --json
    expect state scheduled "$(field 'd["state"]')"
    expect "unique key" once "$(field 'd["unique_key"]')"
    expect "attempts" 0 "$(field 'len(d["attempts"])')"
}

case_enqueue_takes_every_option() {
    run 0 enqueue drill @/dev/stdin --queue bulk --at 2027-05-02T09:00:00+02:00 --deadline 2027-05-03T09:00:00Z --priority 7 \
        --max-attempts 3 --tenant 00000000-0000-0000-0000-000000000000 --json <<<'{"n":1}'
    local id
    id=$(field 'd["id"]')
    expect row "bulk|2027-05-02 07:00:00+00|2027-05-03 09:00:00+00|7|3|{\"n\": 1}" "$(PGTZ=UTC sql "select queue, due_at, deadline, priority,
        max_attempts, convert_from(payload, 'UTF8') from automation_priv.ledger where job_id = '$id'")"
    run 0 job show "$id" --json
    expect payload 1 "$(field 'd["payload"]["n"]')"
}

case_enqueue_direct_is_logged_under_the_printed_id() {
    run 0 enqueue noop '{"text":"h\u00e9"}' --direct --json
    local id entry
    id=$(field 'd["id"]')
    entry=$(field 'd["entry"]')
    expect stream "usher:{0}:in:default" "$(field 'd["stream"]')"
    wait_for 20 "bare job $id done" state_is "$id" done || return
    expect "log row's time" "${entry%-*}" "$(sql "select (extract(epoch from queued_at) * 1000)::int8 from automation.execution_logs
        where execution_id = '$id'")"
    expect "ledger row" 0 "$(sql "select count(*) from automation_priv.ledger where job_id = '$id'")"
}

case_enqueue_direct_sends_messagepack() {
    # A queue that nobody serves, so that the entry stays.
    run 0 enqueue noop '{"a":1}' --direct --queue nobody --key k --json
    expect fields "$(printf 'kind\nnoop\npayload\n\\x81\\xa1a\\x01\nkey\nk')" \
        "$(redis --no-raw xrange 'usher:{0}:in:nobody' - + | sed -E 's/^ *([0-9]+\) *)*//; s/^"(.*)"$/\1/' | tail -n +2)"
    redis del 'usher:{0}:in:nobody' >/dev/null
}

case_enqueue_refuses_bad_input() {
    run 1 enqueue nobody.knows
    contains reason "unknown kind 'nobody.knows'" "$out"
    run 1 enqueue send_email
    contains reason "step of rules" "$out"
    run 1 enqueue noop --tenant 11111111-2222-4333-8444-555555555555
    contains reason "unknown tenant" "$out"
    run 2 enqueue noop '{"a":'
    contains reason "payload, line 1, column" "$out"
    run 2 enqueue noop '[1]'
    contains reason "expected a JSON object" "$out"
    run 2 enqueue noop '{"a":1,"a":2}'
    run 2 enqueue noop @/nowhere/at-all
    run 2 enqueue noop --at tomorrow --tenant x
    contains "every error at once" "--at" "$out"
    contains "every error at once" "--tenant" "$out"
    run 2 enqueue noop --priority 1001
    run 2 enqueue noop --direct --priority 5
    run 2 enqueue noop --queue 'A B'
    out=$(head -c 300000 /dev/zero | tr '\0' ' ' | "$usher" enqueue noop - 2>&1)
    expect "exit code of a payload too large" 2 $?
    contains reason "more than 262144 bytes" "$out"
}

case_queue_list_counts_streams_and_ledger() {
    run 0 enqueue noop --queue still --at 2099-01-01T00:00:00Z
    run 0 enqueue noop --queue still
    run 0 enqueue noop --queue still
    run 0 enqueue noop --direct --queue still
    run 0 queue list --json
    # Nobody serves the queue; the leader finds it in time and admits the two, which then wait instead of being held.
    expect "still" "3 1 0 0 1 0" "$(field '" ".join(map(str, [(r["waiting"] + r["held"], r["bare"], r["pending"], r["in_flight"],
        r["scheduled"], r["parked"]) for r in d if r["queue"] == "still"][0]))')"
    expect "oldest is due" True "$(field '[r for r in d if r["queue"] == "still"][0]["oldest_due_ms"] >= 0')"
    expect "queues of workers" True "$(field '{"critical", "default", "bulk"} <= {r["queue"] for r in d}')"
    run 0 queue list
    contains headings "OLDEST DUE MS" "$out"
    redis del 'usher:{0}:in:still' 'usher:{0}:q:still' >/dev/null
}

case_dead_list_filters_and_pages() {
    local i ids
    for i in 1 2 3; do
        redis xadd 'usher:{0}:in:default' '*' kind "odd$i" >/dev/null
    done
    redis xadd 'usher:{0}:in:bulk' '*' kind send_email payload '{}' >/dev/null
    wait_for 20 "three malformed" dead_with "kind = 'odd1'" && wait_for 20 "odd2" dead_with "kind = 'odd2'" &&
        wait_for 20 "odd3" dead_with "kind = 'odd3'" && wait_for 20 "forged" dead_with "reason = 'forged'" || return
    run 0 dead list --reason forged --json
    expect "forged" "send_email bulk dead" "$(field '" ".join((d[0]["kind"], d[0]["queue"], d[0]["state"]))')"
    run 0 dead list --json
    expect "all" 4 "$(field 'len(d)')"
    ids=$(field '" ".join(r["job_id"] for r in d)')
    run 0 dead list --limit 3
    contains "hint" "the next page: --after" "$out"
    local paged= after=() page
    while :; do
        run 0 dead list --limit 1 --json "${after[@]}"
        page=$(field '" ".join(r["job_id"] for r in d)')
        [ -n "$page" ] || break
        paged+="${paged:+ }$page"
        after=(--after "$page")
    done
    expect "pages" "$ids" "$paged"
    run 0 dead list --kind odd2 --since 1h --json
    expect "by kind" odd2 "$(field '",".join(r["kind"] for r in d)')"
    run 0 dead list --since 2099-01-01T00:00:00Z --json
    expect "since later" 0 "$(field 'len(d)')"
    run 0 job show "${ids%% *}" --json
    expect "dead job" dead "$(field 'd["state"]')"
    expect "its reason" "$(field 'd["reason"]')" "$(field 'd["attempts"][0]["reason"]')"
    run 2 dead list --tenant no-uuid
}

case_events_in_quarantine_are_listed_and_retried() {
    local one=70000000-0000-4000-8000-0000000000e1 tenant=00000000-0000-0000-0000-000000000000
    sql "insert into automation_priv.outbox_quarantine (id, event_id, tenant_id, event_type, payload, hops, marks, occurred_at, available_at)
         values (1, '$one', '$tenant', 'photo.taken', '{}', 0, 2, now(), now())" >/dev/null
    run 0 event list --json
    expect "listed" "$one photo.taken" "$(field '" ".join((d[0]["event_id"], d[0]["event"]))')"
    run 0 event list --tenant 10000000-0000-4000-8000-0000000000ff --json
    expect "of another tenant" 0 "$(field 'len(d)')"
    run 2 event retry
    run 2 event retry "$one" --all
    run 2 event retry no-uuid
    run 3 event retry 70000000-0000-4000-8000-0000000000e9
    run 0 event retry "$one" --by bea --json
    expect "retried" 1 "$(field 'd["retried"]')"
    wait_for 20 "it is dispatched" dispatched "$one" || return
    expect "audit trail" "retry_events 1" "$(sql "select what || ' ' || n from automation_priv.audit_trail where who = 'bea'")"
    sql "delete from automation.trigger_events where event_id = '$one'" >/dev/null
}

dispatched() {
    [ "$(sql "select count(*) from automation.trigger_events where event_id = '$1'")" = 1 ]
}

case_dead_letters_are_shown_retried_and_discarded() {
    local one=40000000-0000-4000-8000-0000000000d1 two=40000000-0000-4000-8000-0000000000d2 replay
    sql "insert into automation.dead_letters (tenant_id, job_id, kind, queue, reason, error, attempt, crashes, effect_key, payload, accepted_at, died_at,
             priority, deadline)
         select '00000000-0000-0000-0000-000000000000', id, 'noop', 'default', 'permanent', 'Mailbox FULL', 3, 0, id, '{\"n\": 7}', now(), now(), 7, '2099-05-03 09:00Z'
         from unnest('{$one,$two}'::uuid[]) id" >/dev/null
    run 0 dead show "$one" --json
    expect "shown" "noop permanent 3 7 7 2099-05-03T09:00:00" "$(field '" ".join(map(str, (d["kind"], d["reason"], d["attempt"], d["payload"]["n"],
        d["priority"], d["deadline"][:19])))')"
    run 3 dead show 40000000-0000-4000-8000-0000000000d9
    run 0 dead list --like 'mailbox full' --json
    expect "listed by a text of the error" "noop noop" "$(field '" ".join(r["kind"] for r in d)')"
    run 0 dead list --like 'mailbox full' --until 2099-01-01T00:00:00Z --json
    expect "dead before that time" 2 "$(field 'len(d)')"
    run 0 dead list --like 'mailbox full' --until 1h --json
    expect "dead for longer" 0 "$(field 'len(d)')"
    run 0 dead list --kind noop --until 2001-01-01T00:00:00Z --json
    expect "dead before there were any" 0 "$(field 'len(d)')"
    run 0 dead list --like 'no such text' --json
    expect "listed by another text" 0 "$(field 'len(d)')"
    run 2 dead list --until soon
    run 2 dead retry
    run 2 dead retry "$one" --kind noop
    out=$("$usher" dead retry "$one" </dev/null 2>&1)
    expect "exit code off a terminal" 2 $?
    contains "reason" "--yes" "$out"
    run 0 dead retry --like 'mailbox full' --dry-run --json
    expect "dry run" "replayed replayed" "$(field '" ".join(r["result"] for r in d)')"
    expect "nothing was changed" 0 "$(sql "select count(*) from automation.dead_letters where replayed_as is not null")"
    sql "update automation.dead_letters set replays = 5 where job_id = '$one'" >/dev/null
    run 4 dead retry "$one" --yes
    contains "refused" "replayed_often" "$out"
    run 0 dead retry "$one" --dry-run --replays 6
    run 0 dead retry "$one" --yes --by ana --replays 0 --json
    replay=$(field 'd[0]["replay"]')
    wait_for 20 "the replay is done" state_is "$replay" done || return
    run 4 dead retry "$one" --yes
    contains "refused" "replayed_before" "$out"
    run 3 dead retry 40000000-0000-4000-8000-0000000000d9 --yes
    run 0 dead discard --like 'mailbox full' --since 1h --limit 10 --yes --json
    expect "the open one" "$two discarded" "$(field '" ".join((d[0]["job_id"], d[0]["result"]))')"
    expect "audit trail" "replay_dead 1 ana" "$(sql "select what || ' ' || n || ' ' || who from automation_priv.audit_trail where who = 'ana'")"
    expect "its filter" "mailbox full" "$(sql "select filter ->> 'like' from automation_priv.audit_trail where what = 'discard_dead' and n = 1")"
    sql "delete from automation.dead_letters where error = 'Mailbox FULL'" >/dev/null
}

case_run_show_tells_steps_and_context() {
    sql "insert into automation.tenants (tenant_id, name) values ('10000000-0000-4000-8000-000000000001', 'Studio');
         insert into automation.weddings (tenant_id, wedding_id, title, status, time_zone, client_name)
         values ('10000000-0000-4000-8000-000000000001', '20000000-0000-4000-8000-000000000001', 'A & B', 'booked', 'Europe/Lisbon', 'Ana');
         insert into automation.rules (tenant_id, rule_id, name, status, definition)
         values ('10000000-0000-4000-8000-000000000001', '30000000-0000-4000-8000-000000000001', 'Note a payment', 'active',
            '{\"schema_version\": 1, \"name\": \"Note a payment\", \"trigger\": {\"type\": \"event\", \"event\": \"payment.received\"},
              \"conditions\": {\">=\": [{\"var\": \"event.amount\"}, 100]},
              \"actions\": [{\"id\": \"note\", \"type\": \"create_task\", \"params\": {\"title\": \"Thank {{client.name}}\"}},
                            {\"id\": \"later\", \"type\": \"wait\", \"params\": {\"for\": \"P9D\"}},
                            {\"id\": \"end\", \"type\": \"create_task\", \"params\": {\"title\": \"Call\"}}]}')"
    wait_for 20 "rule checked" rule_checked 30000000-0000-4000-8000-000000000001 || return
    expect rejection '' "$(sql "select rejection from automation.rules where rejection is not null")"
    sql "select automation.publish_event('10000000-0000-4000-8000-000000000001', 'payment.received',
         '20000000-0000-4000-8000-000000000001', '{\"amount\": 250}')" >/dev/null
    wait_for 20 "second step" second_step || return
    local id
    id=$(sql "select run_id from automation.runs where rule_id = '30000000-0000-4000-8000-000000000001'")
    run 0 run show "$id" --json
    expect run "running Note a payment event" "$(field '" ".join((d["state"], d["rule"], d["trigger_type"]))')"
    expect steps "[('create_task', 'done'), ('wait', 'scheduled')]" "$(field '[(s["kind"], s["outcome"]) for s in d["steps"]]')"
    expect "event in the context" 250 "$(field 'd["context"]["event"]["amount"]')"
    run 0 run show "$id"
    contains table "create_task" "$out"
    run 3 run show 8d03ae6f-055f-823e-b840-51066c04214b
    run 2 run show 17
}
second_step() {
    [ "$(sql "select count(*) from automation_priv.ledger where kind = 'wait'")" = 1 ]
}

case_wedding_move_and_show_tell_its_timeline() {
    sql "insert into automation.tenants (tenant_id, name) values ('10000000-0000-4000-8000-000000000011', 'Timeline');
         insert into automation.weddings (tenant_id, wedding_id, title, status, time_zone, ceremony_date, client_name, client_email)
         values ('10000000-0000-4000-8000-000000000011', '20000000-0000-4000-8000-000000000011', 'C & D', 'booked', 'Europe/Lisbon', current_date + 90, 'Cora',
            'cora@couple.example');
         insert into automation.rules (tenant_id, rule_id, name, status, definition)
         values ('10000000-0000-4000-8000-000000000011', '30000000-0000-4000-8000-000000000011', 'Month', 'active',
            '{\"schema_version\": 1, \"name\": \"Month\", \"trigger\": {\"type\": \"milestone\", \"milestone\": \"ceremony\", \"offset\": \"-P30D\"},
              \"actions\": [{\"type\": \"create_task\", \"params\": {\"title\": \"Call\"}}]}'),
            ('10000000-0000-4000-8000-000000000011', '30000000-0000-4000-8000-000000000012', 'Ask', 'active',
            '{\"schema_version\": 1, \"name\": \"Ask\", \"trigger\": {\"type\": \"manual\"}, \"actions\": [{\"type\": \"create_task\", \"requires_approval\": true,
              \"params\": {\"title\": \"Thank {{client.name}}\"}}]}')" >/dev/null
    wait_for 20 "rules checked" timeline_rules_checked || return
    run 0 wedding move 20000000-0000-4000-8000-000000000011 --date 2091-06-14 --dry-run
    contains "the dry run" "1 moved" "$out"
    run 0 wedding show 20000000-0000-4000-8000-000000000011 --json
    expect "nothing moved" "Month scheduled" "$(field '" ".join((d["timeline"][0]["rule"], d["timeline"][0]["state"]))')"
    run 0 wedding move 20000000-0000-4000-8000-000000000011 --date 2091-06-14 --time 16:00
    run 0 wedding show 20000000-0000-4000-8000-000000000011
    contains "the new instant" "2091-05-15 09:00" "$out"
    run 0 wedding move 20000000-0000-4000-8000-000000000011 --no-date
    contains "no date" "1 unscheduled" "$out"
    run 3 wedding show 8d03ae6f-055f-823e-b840-51066c04214b
    run 2 wedding move 20000000-0000-4000-8000-000000000011
    sql "select automation.start_rule('10000000-0000-4000-8000-000000000011', '30000000-0000-4000-8000-000000000012', '20000000-0000-4000-8000-000000000011')" >/dev/null
    wait_for 20 "an approval" approval_waits || return
    run 0 approval list --tenant 10000000-0000-4000-8000-000000000011 --json
    local id
    id=$(field 'd[0]["id"]')
    expect "what waits" "Thank Cora" "$(field 'd[0]["content"]')"
    run 0 approval edit "$id" '{"title": "Thank both"}' --by rui
    run 0 approval show "$id" --json
    expect "edited, and by whom" "pending rui Thank both" "$(field '" ".join((d["state"], d["edited_by"], d["content"]["title"]))')"
    run 0 approval reject "$id" --by ana --note 'called them'
    run 4 approval approve "$id"
    run 0 approval show "$id" --json
    expect "who and why" "rejected rui ana called them" "$(field '" ".join((d["state"], d["edited_by"], d["decided_by"], d["note"]))')"
    local tenant=10000000-0000-4000-8000-000000000011 rule=30000000-0000-4000-8000-000000000012 wedding=20000000-0000-4000-8000-000000000011
    run 0 approval preapprove $rule --tenant $tenant --wedding $wedding --by ana
    expect "a word given ahead" "preapproved" "$out"
    run 4 approval preapprove $rule --tenant $tenant --wedding $wedding --by rui
    run 0 approval preapprove $rule --tenant $tenant --by eva
    run 0 approval list --preapprovals --tenant $tenant --json
    expect "the words that hold" "Ask C & D ana, Ask None eva" "$(field '", ".join(" ".join(map(str, (x["rule"], x["wedding"], x["granted_by"]))) for x in d)')"
    run 0 approval list --preapprovals --tenant $wedding --json
    expect "another tenant has none" "0" "$(field 'len(d)')"
    run 0 approval revoke $rule --tenant $tenant --by eva
    sql "select automation.start_rule('$tenant', '$rule', '$wedding')" >/dev/null
    wait_for 20 "the step to act without asking" approved_ahead || return
    run 3 approval revoke $rule --tenant $tenant
    contains "the word for all is another one" "the rule for all weddings was not approved ahead" "$out"
    run 0 approval revoke $rule --tenant $tenant --wedding $wedding --by rui --json
    expect "taken back" "revoked" "$(field 'd["state"]')"
    run 3 approval revoke $rule --tenant $tenant --wedding $wedding
    run 2 approval preapprove $rule
    contains "a tenant is needed" "--tenant is required" "$out"
    run 1 approval preapprove $rule --tenant $tenant --wedding $rule
    contains "a wedding of its own" "has no wedding $rule" "$out"
    run 1 approval preapprove $wedding --tenant $tenant
    contains "a rule of its own" "has no rule $wedding" "$out"
    run 0 approval list --preapprovals --tenant $tenant
    expect "none is left" "no" "$(grep -q Ask <<<"$out" && echo yes || echo no)"
    expect "audit trail" "preapprove ana, preapprove eva, revoke_preapproval eva, revoke_preapproval rui" "$(sql "select string_agg(what || ' ' || who, ', ' order by id) from automation_priv.audit_trail
        where tenant_id = '$tenant'")"
    run 3 approval approve 8d03ae6f-055f-823e-b840-51066c04214b
    run 0 zones refresh
}
timeline_rules_checked() {
    [ "$(sql "select count(*) from automation.rules where validated_revision = revision and name in ('Month', 'Ask')")" = 2 ]
}
approved_ahead() {
    [ "$(sql "select count(*) from automation.approvals a join automation.tasks t on t.tenant_id = a.tenant_id and t.task_id = a.approval_id
        where a.state = 'approved' and a.decided_by = 'ana' and t.title = 'Thank Cora'")" = 1 ]
}
approval_waits() {
    [ "$(sql "select count(*) from automation_priv.ledger where parked_reason = 'approval'")" = 1 ]
}

case_job_show_says_what_is_not_there() {
    run 3 job show 8d03ae6f-055f-823e-b840-51066c04214b
    run 2 job show nothing
    run 2 job show
}

case_worker_list_shows_the_living() {
    wait_for 20 "two workers" two_workers || return
    expect alive "True True" "$(field '" ".join(str(r["alive"]) for r in d)')"
    expect queues critical,default,bulk "$(field 'd[0]["queues"]')"
}
two_workers() {
    out=$("$usher" worker list --json) && [ "$(field 'len(d)')" = 2 ]
}

case_rule_cache_shows_each_level() {
    run 0 rule cache --json
    expect levels "memory redis postgres" "$(field '" ".join(r["level"] for r in d)')"
    expect rate True "$(field 'all(r["hit_percent"] is None or 0 <= float(r["hit_percent"]) <= 100 for r in d)')"
}

case_audit_balances_and_says_when_not() {
    run 0 audit --json
    expect balanced True "$(field 'd["balanced"]')"
    expect "the rows' sum" "$(field 'd["total"]["accepted"]')" "$(field 'sum(r["accepted"] for r in d["rows"])')"
    sql "insert into automation_priv.job_deltas values ('00000000-0000-0000-0000-000000000000', '2020-01-01', 'accepted', 2),
         ('00000000-0000-0000-0000-000000000000', '2020-01-02', 'done', 2)"
    run 1 audit --json --limit 1 2>/dev/null
    contains message "4 jobs are not accounted for" "$out"
    out=$("$usher" audit --json --limit 1 2>/dev/null)
    expect "unbalanced first" 2020-01-02 "$(field 'd["rows"][0]["day"]')"
    expect "they cancel out in the total, and are counted" "0 False" "$(field 'str(d["total"]["unaccounted"]) + " " + str(d["balanced"])')"
    run 1 audit --limit 1
    contains "more rows" "rows; --limit shows more" "$out"
    run 0 audit --tenant 10000000-0000-4000-8000-00000000000f --json
    expect "no rows" 0 "$(field 'len(d["rows"])')"
    sql "delete from automation.job_counts where day < '2021-01-01'; delete from automation_priv.job_deltas where day < '2021-01-01'"
}

case_partitions_are_listed_made_and_detached() {
    local month leaf
    run 0 partition list --json
    expect "of this month" attached "$(field '[p["state"] for p in d if p["from"].startswith("'"$(date -u +%Y-%m)"'")][0]')"
    run 0 partition ensure --months 5 --json
    expect made 2 "$(field 'd["made"]')"
    run 0 partition ensure --months 5
    contains "made once" "made:    0" "$out"
    month=$(sql "select to_char(min(lo) at time zone 'UTC', 'YYYY-MM') from automation_priv.log_partitions where lo > now()")
    leaf=execution_logs_${month/-/_}
    sql "update automation_priv.log_partitions set state = 'detached' where leaf = '$leaf'; alter table automation.execution_logs detach partition automation_part.$leaf" >/dev/null
    run 4 partition ensure
    contains "the month that is missing" "no part of the log: $month (detached); its rows go to quarantine" "$out"
    out=$("$usher" partition ensure --json 2>/dev/null)
    expect missing "$month (detached)" "$(field 'd["missing"]')"
    sql "update automation_priv.log_partitions set state = 'attached' where leaf = '$leaf';
        select automation_priv.attach_leaf(leaf, lo, hi) from automation_priv.log_partitions where leaf = '$leaf'" >/dev/null
    run 0 partition ensure --json
    expect "none is missing" None "$(field 'd["missing"]')"
    run 2 partition detach 2031
    contains "what a month is" "expected a month such as 2031-05" "$out"
    run 3 partition detach 2001-01
    sql "select automation_priv.ensure_partition('2020-06-01')" >/dev/null
    run 0 partition detach 2020-06 --dry-run --json
    expect "dry run" False "$(field 'd["done"]')"
    out=$("$usher" partition detach 2020-06 --json 2>/dev/null)
    expect done True "$(field 'd["done"]')"
    expect state detached "$(sql "select state from automation_priv.log_partitions where leaf = 'execution_logs_2020_06'")"
    run 0 archive restore 2020-06
    run 0 health --json
    expect "the log is well" True "$(field '[p["ok"] for p in d if p["part"] == "log"][0]')"
    sql "delete from automation_priv.log_partitions where leaf = 'execution_logs_2020_06'; drop table automation_part.execution_logs_2020_06"
}

case_a_month_is_archived_verified_and_restored() {
    local dir=$CLI_BASE/archive what
    mkdir -p "$dir"
    sql "select automation_priv.ensure_partition('2020-01-01');
        insert into automation.execution_logs (tenant_id, queued_at, execution_id, job_id, duration_us, attempt, outcome, kind, queue)
        select gen_random_uuid(), '2020-01-05', gen_random_uuid(), gen_random_uuid(), 1, 1, 1, 'noop', 'default' from generate_series(1, 500)" >/dev/null
    run 78 archive run
    contains "the folder" USHER_ARCHIVE_DIR "$out"
    run 78 archive run 2020-01
    run 3 archive verify
    contains "there is none" "no month has an archive" "$out"
    # What is wrong has one code, whatever the command.
    for what in 'partition detach' 'archive run' 'archive verify' 'archive restore'; do
        run 2 $what January
        contains "$what: what a month is" "expected a month such as 2031-05" "$out"
        USHER_MAINT_DATABASE_URL=postgresql://127.0.0.1:1/x run 69 $what 2020-01
        contains "$what: what is not there" "PostgreSQL is not available (USHER_MAINT_DATABASE_URL)" "$out"
    done
    run 2 archive verify 2020-01 January
    for what in 'partition detach' 'archive run' 'archive restore'; do
        run 3 $what 2001-01
    done
    for what in 'partition ensure' 'partition replay'; do
        USHER_MAINT_DATABASE_URL=postgresql://127.0.0.1:1/x run 69 $what
    done
    export USHER_ARCHIVE_DIR=$dir USHER_ARCHIVE_GRACE=0
    out=$("$usher" archive run --dry-run --json)
    expect "what is due" execution_logs_2020_01 "$(field 'd[0]["partition"]')"
    expect "nothing done" "" "$(ls "$dir")"
    out=$("$usher" archive run 2>"$CLI_BASE/progress")
    contains "progress in lines" "execution_logs_2020_01 export" "$(cat "$CLI_BASE/progress")"
    expect "no bar where there is no terminal" 0 "$(grep -c '\[' "$CLI_BASE/progress")"
    run 0 archive verify 2020-01
    out=$(script -qec "$usher archive verify 2020-01" /dev/null)
    contains "a bar on a terminal" "] 100 %" "$out"
    out=$("$usher" archive run --json 2>/dev/null)
    expect dropped drop "$(field 'd[0]["step"]')"
    expect gone "" "$(sql "select to_regclass('automation_part.execution_logs_2020_01')")"
    out=$("$usher" archive list --json)
    expect "its file" there "$(field 'd[0]["file"]')"
    expect "its rows" 500 "$(field 'd[0]["rows"]')"
    out=$("$usher" archive restore 2020-01 --dry-run --json 2>/dev/null)
    expect "dry run" False "$(field 'd["done"]')"
    out=$("$usher" archive restore 2020-01 --json 2>/dev/null)
    expect restored True "$(field 'd["done"]')"
    expect "rows are back" 500 "$(sql "select count(*) from automation.execution_logs where queued_at < '2020-02-01'")"
    run 4 archive restore 2020-01
    mv "$dir/execution_logs_2020_01.csv.zst" "$dir/elsewhere"
    run 3 archive verify
    contains "what is missing" "No such file" "$out"
    unset USHER_ARCHIVE_DIR USHER_ARCHIVE_GRACE
    sql "alter table automation.execution_logs detach partition automation_part.execution_logs_2020_01; drop table automation_part.execution_logs_2020_01;
        delete from automation_priv.log_partitions where leaf = 'execution_logs_2020_01'"
}

# Each code that these commands are documented to end with, where the cases above have not seen it.
case_partitions_and_archives_end_with_their_codes() {
    local dir=$CLI_BASE/codes now what holder
    sql "select automation_priv.ensure_partition('2020-03-01')" >/dev/null
    now=$(date -u +%Y-%m)
    mkdir -p "$dir"
    for what in 'partition list' 'archive list'; do
        DATABASE_URL=postgresql://127.0.0.1:1/x run 69 $what
        run 2 $what --nothing
    done
    run 2 partition replay 2031-05
    run 2 partition detach
    run 2 archive restore
    run 78 archive run 2020-03
    contains "the folder" USHER_ARCHIVE_DIR "$out"
    run 3 archive verify 2020-03
    run 4 archive restore 2020-03
    # A month that is not over; another archiver at work.
    run 4 partition detach "$now"
    contains "why" "until its month is over" "$out"
    export USHER_ARCHIVE_DIR=$dir USHER_ARCHIVE_GRACE=0
    run 4 archive run "$now"
    coproc HOLDER { psql -XAtq -d "$DATABASE_URL"; }
    holder=$HOLDER_PID
    echo "select pg_advisory_lock(hashtextextended('automation.maint', 0)), 'held';" >&"${HOLDER[1]}"
    read -r _ <&"${HOLDER[0]}"
    for what in 'partition detach' 'archive run' 'archive verify' 'archive restore'; do
        run 75 $what 2020-03
        contains "$what: who" "another archiver is at work" "$out"
    done
    echo '\q' >&"${HOLDER[1]}"
    wait "$holder"
    # A late row waits until its month has a partition.
    sql "insert into automation_priv.log_quarantine (tenant_id, job_id, reason, row_data)
        select l.tenant_id, l.job_id, 'no partition for queued_at', to_jsonb(l) from (
            select (jsonb_populate_record(null::automation.execution_logs, jsonb_build_object('tenant_id', gen_random_uuid(), 'queued_at', '2020-02-05', 'execution_id', gen_random_uuid(),
                'job_id', gen_random_uuid(), 'duration_us', 1, 'attempt', 1, 'outcome', 1, 'kind', 'noop', 'queue', 'default'))).*) l" >/dev/null
    run 0 partition replay --json
    expect "waits" "0 0" "$(field 'str(d["replayed"]) + " " + str(d["repeated"])')"
    sql "select automation_priv.ensure_partition('2020-02-01')" >/dev/null
    run 0 partition replay --json
    expect "is in the log" "1 0" "$(field 'str(d["replayed"]) + " " + str(d["repeated"])')"
    # Detached twice is no error; an archive that is not what it was, is.
    run 0 archive run 2020-02
    run 0 partition detach 2020-02
    run 0 archive run
    expect "dropped" dropped "$(sql "select state from automation_priv.log_partitions where leaf = 'execution_logs_2020_02'")"
    run 0 archive verify 2020-02
    printf 'x' | dd of="$dir/execution_logs_2020_02.csv.zst" bs=1 seek=20 conv=notrunc status=none
    run 1 archive verify
    contains "what is wrong" execution_logs_2020_02 "$out"
    run 1 archive restore 2020-02
    expect "nothing of it is in the log" "" "$(sql "select to_regclass('automation_part.execution_logs_2020_02')")"
    unset USHER_ARCHIVE_DIR USHER_ARCHIVE_GRACE
    run 78 archive verify 2020-02
    run 78 archive restore 2020-02
    sql "drop table automation_part.execution_logs_2020_03; delete from automation_priv.log_partitions where leaf in ('execution_logs_2020_02', 'execution_logs_2020_03')"
}

case_templates_are_listed_shown_and_made_rules() {
    local tenant=10000000-0000-4000-8000-0000000000c7 rule
    sql "insert into automation.tenants (tenant_id, name) values ('$tenant', 'Templates')"
    run 0 template list --json
    expect "templates" True "$(field 'len(d) >= 24 and all(t["version"] == 1 for t in d)')"
    expect "vendors" "florist, planner, venue" "$(field '[t["vendors"] for t in d if t["key"] == "vendor_intro"][0]')"
    run 0 template list
    contains table "timeline_call_30" "$out"
    run 0 template show timeline_call_30 --params '{"days": 45}' --json
    expect "the rule" "-P45D 45 10" "$(field '" ".join((d["definition"]["trigger"]["offset"], str(d["params"]["days"]), str(len(d["parameters"]) + 6)))')"
    run 0 template show timeline_call_30
    contains parameters "an integer from 3 to 180" "$out"
    contains definition '"schema_version": 1' "$out"
    run 1 template instantiate timeline_call_30 --tenant "$tenant" --params '{"days": 0}'
    contains "what is wrong" 'parameter days: found 0, expected an integer from 3 to 180' "$out"
    run 2 template instantiate timeline_call_30
    run 2 template instantiate timeline_call_30 --tenant "$tenant" --params '[]'
    run 1 template show nobody
    contains "what there is" "there is no rule template 'nobody'" "$out"
    run 0 template instantiate timeline_call_30 --tenant "$tenant" --active --name Call --json
    rule=$(field 'd["rule_id"]')
    wait_for 20 "rule checked" rule_checked "$rule" || return
    expect "rule" "Call timeline_call_30 1 t" "$(sql "select name || ' ' || template_key || ' ' || template_version || ' ' || live::text::char(1) from automation.rules where rule_id = '$rule'")"
}
rule_checked() {
    [ "$(sql "select validated_revision from automation.rules where rule_id = '$1'")" = 1 ]
}

rule_file() { # NAME DOCUMENT
    printf '%s' "$2" >"$CLI_BASE/$1.json"
}
rule_task='"actions": [{"type": "create_task", "params": {"title": "Call"}}]'
rule_before='"trigger": {"type": "milestone", "milestone": "ceremony", "offset": "-P30D", "at": "09:00"}'

case_rule_check_says_where_what_and_what_is_allowed() {
    rule_file good "{\"schema_version\": 1, \"name\": \"g\", $rule_before, $rule_task}"
    rule_file word "{\"schema_version\": 1, \"name\": \"w\", \"trigger\": {\"type\": \"never\"}, $rule_task}"
    rule_file typo "{\"schema_version\": 1, \"name\": \"t\", $rule_before, \"conditions\": {\">\": [{\"var\": \"wedding.guest_cuont\"}, 5]}, $rule_task}"
    rule_file text '{"schema_version": 1,'
    run 0 rule check "$CLI_BASE/good.json"
    contains count "1 of 1 rules are valid" "$out"
    run 1 rule check "$CLI_BASE/word.json"
    contains where "/trigger/type" "$out"
    contains found '"never"' "$out"
    contains allowed "milestone" "$out"
    run 1 rule check "$CLI_BASE/text.json"
    contains "where in the text" "line 1" "$out"
    run 1 rule check "$CLI_BASE/nowhere.json"
    contains "what is missing" "can not be read" "$out"
    run 2 rule check
    run 2 rule check --colour "$CLI_BASE/good.json"
    run 0 rule check "$CLI_BASE/typo.json"
    contains hint 'did you mean "guest_count"?' "$out"
    run 1 rule check "$CLI_BASE/good.json" "$CLI_BASE/word.json" "$CLI_BASE/typo.json"
    contains count "2 of 3 rules are valid" "$out"
    out=$("$usher" rule check - --json <"$CLI_BASE/word.json")
    expect "exit code from standard input" 1 $?
    expect json "[('-', 'error', '/trigger/type')]" "$(field '[(r["file"], r["level"], r["pointer"]) for r in d]')"
    run 0 rule check "$CLI_BASE/good.json" --json
    expect "no remarks" 0 "$(field 'len(d)')"
}

case_rule_preview_shows_what_would_happen_and_writes_nothing() {
    local tenant=10000000-0000-4000-8000-0000000000d1 wedding=20000000-0000-4000-8000-0000000000d1 rule=30000000-0000-4000-8000-0000000000d1
    local on=(--tenant $tenant --wedding $wedding --as-of 2027-05-01T12:00:00Z)
    sql "insert into automation.tenants (tenant_id, name) values ('$tenant', 'Preview');
         insert into automation.weddings (tenant_id, wedding_id, title, status, time_zone, ceremony_date, ceremony_time, guest_count, client_email)
         values ('$tenant', '$wedding', 'E & F', 'booked', 'Europe/Lisbon', '2027-06-19', '15:00', 120, 'eva@couple.example')"
    rule_file window "{\"schema_version\": 1, \"name\": \"Thirty\", \"trigger\": {\"type\": \"milestone\", \"milestone\": \"ceremony\", \"offset\": \"-P30D\",
        \"at\": \"22:30\", \"yearly\": 2}, \"conditions\": {\">\": [{\"var\": \"wedding.guest_count\"}, 100]}, \"settings\": {\"send_window\": {\"from\": \"09:00\",
        \"to\": \"19:00\"}}, \"actions\": [{\"type\": \"send_email\", \"requires_approval\": true, \"params\": {\"to\": \"client\", \"subject\": \"In {{wedding.guest_count}}\",
        \"text\": \"t\"}}]}"
    run 0 rule preview "$CLI_BASE/window.json" "${on[@]}"
    contains instant "2027-05-21T09:00:00+01:00 Europe/Lisbon  =  2027-05-21T08:00:00Z" "$out"
    contains shift "send window 09:00-19:00: 2027-05-20T22:30:00+01:00 -> 2027-05-21T09:00:00+01:00 (after_it_closes, next_open)" "$out"
    contains yearly "firing 2 of 2: 2028-05-2" "$out"
    contains verdict "verdict: a run starts" "$out"
    contains value "wedding.guest_count = 120" "$out"
    contains text "subject: In 120" "$out"
    contains approval "waits for approval, until 2027-06-19T14:00:00Z" "$out"
    contains mode "mode: single, 0 running: a start starts" "$out"
    contains season "1 of 1 weddings match" "$out"
    run 0 rule preview "$CLI_BASE/window.json" "${on[@]}" --json
    expect json "2027-05-20T21:30:00Z future True moves" \
        "$(field '" ".join((d["fire"]["window"]["from_utc"], d["fire"]["state"], str(d["verdict"]["starts"]), d["standing"]["after_move"]))')"
    sql "insert into automation.rules (tenant_id, rule_id, name, status, definition) values ('$tenant', '$rule', 'Stored', 'active',
         '{\"schema_version\": 1, \"name\": \"Stored\", \"trigger\": {\"type\": \"event\", \"event\": \"payment.received\"},
           \"conditions\": {\">\": [{\"var\": \"event.amount\"}, 100]}, $rule_task}')"
    wait_for 20 "rule checked" rule_checked "$rule" || return
    run 0 rule preview "$rule" --tenant "$tenant" --wedding "$wedding" --event '{"amount": 250}' --json
    expect stored "1 True unscheduled:event:payment.received" "$(field '" ".join((str(d["rule"]["revision"]), str(d["verdict"]["starts"]), d["fire"]["state"]))')"
    run 0 rule preview "$rule" --tenant "$tenant" --wedding "$wedding" --event '{"amount": 1}'
    contains verdict "verdict: no run starts (conditions_not_met)" "$out"
    expect "runs written" 0 "$(sql "select count(*) from automation.runs where tenant_id = '$tenant'")"
}

case_rule_preview_refuses_what_is_wrong_or_missing() {
    local tenant=10000000-0000-4000-8000-0000000000d2 wedding=20000000-0000-4000-8000-0000000000d2 nobody=8d03ae6f-055f-823e-b840-51066c04214b
    sql "insert into automation.tenants (tenant_id, name) values ('$tenant', 'Refused');
         insert into automation.weddings (tenant_id, wedding_id, title, time_zone) values ('$tenant', '$wedding', 'G & H', 'Europe/Lisbon')"
    rule_file plain "{\"schema_version\": 1, \"name\": \"g\", $rule_before, $rule_task}"
    rule_file never "{\"schema_version\": 1, \"name\": \"w\", \"trigger\": {\"type\": \"never\"}, $rule_task}"
    run 0 rule preview "$CLI_BASE/plain.json" --tenant $tenant --wedding $wedding
    contains "no date" "verdict: no run starts (unscheduled:anchor_missing)" "$out"
    run 1 rule preview "$CLI_BASE/never.json" --tenant $tenant --wedding $wedding
    contains where "/trigger/type" "$out"
    run 1 rule preview "$CLI_BASE/never.json" --tenant $tenant --wedding $wedding --json
    run 3 rule preview $nobody --tenant $tenant --wedding $wedding
    contains "which is missing" "no such rule" "$out"
    run 3 rule preview "$CLI_BASE/plain.json" --tenant $tenant --wedding $nobody
    contains "which is missing" "no such wedding" "$out"
    run 3 rule preview "$CLI_BASE/plain.json" --tenant $nobody --wedding $wedding
    run 2 rule preview "$CLI_BASE/nothing.json" --tenant $tenant --wedding $wedding
    contains "which file" "nothing.json" "$out"
    run 2 rule preview "$CLI_BASE/plain.json"
    contains "what is missing" "--tenant and --wedding are required" "$out"
    run 2 rule preview "$CLI_BASE/plain.json" --tenant 7 --wedding $wedding --as-of tomorrow
    contains "every error at once" "--tenant" "$out"
    contains "every error at once" "--as-of" "$out"
    run 2 rule preview "$CLI_BASE/plain.json" --tenant $tenant --wedding $wedding --as-of 2h
    contains "a time" "2027-05-01T12:00:00Z" "$out"
    run 2 rule preview "$CLI_BASE/plain.json" --tenant $tenant --wedding $wedding --event '[1]'
    contains "an object" "--event: expected a JSON object" "$out"
    run 2 rule preview --tenant $tenant --wedding $wedding
}

case_rule_explain_tells_why_a_run_was_skipped() {
    local tenant=10000000-0000-4000-8000-0000000000d3 wedding=20000000-0000-4000-8000-0000000000d3 rule=30000000-0000-4000-8000-0000000000d3 id
    sql "insert into automation.tenants (tenant_id, name) values ('$tenant', 'Explain');
         insert into automation.weddings (tenant_id, wedding_id, title, status, time_zone) values ('$tenant', '$wedding', 'I & J', 'booked', 'Europe/Lisbon');
         insert into automation.rules (tenant_id, rule_id, name, status, definition) values ('$tenant', '$rule', 'Why', 'active',
         '{\"schema_version\": 1, \"name\": \"Why\", \"trigger\": {\"type\": \"event\", \"event\": \"form.submitted\"},
           \"conditions\": {\">\": [{\"var\": \"wedding.guest_count\"}, 100]}, $rule_task}')"
    wait_for 20 "rule checked" rule_checked "$rule" || return
    sql "select automation.publish_event('$tenant', 'form.submitted', '$wedding', '{}')" >/dev/null
    wait_for 20 "skipped run" has_run "$rule" || return
    id=$(sql "select run_id from automation.runs where rule_id = '$rule'")
    run 0 rule explain "$id"
    contains reason "state: skipped (missing_field:wedding.guest_count)" "$out"
    contains conditions "? >  null, 100  (missing_field:wedding.guest_count)" "$out"
    contains steps "steps: none" "$out"
    contains "what is not known" "facts as they are now" "$out"
    run 0 rule explain "$id" --json
    expect json "skipped unknown form.submitted" "$(field '" ".join((d["run"]["state"], d["conditions"]["truth"], d["run"]["context"]["event"]["type"]))')"
    run 3 rule explain "$id" --tenant 10000000-0000-4000-8000-0000000000d1
    contains message "no such run" "$out"
    run 3 rule explain 8d03ae6f-055f-823e-b840-51066c04214b
    run 2 rule explain 17
    contains where "RUN_ID" "$out"
    run 2 rule explain
}
has_run() {
    [ "$(sql "select count(*) from automation.runs where rule_id = '$1'")" = 1 ]
}

logged_n() { # SQL condition, number
    [ "$(sql "select count(*) from automation.execution_logs where $1")" -ge "$2" ]
}
case_log_is_listed_paged_filtered_and_shown() {
    local tenant=10000000-0000-4000-8000-0000000000e1 job ids i
    sql "insert into automation.tenants (tenant_id, name) values ('$tenant', 'Log')"
    for i in 1 2 3 4 5; do
        run 0 enqueue noop '{}' --tenant "$tenant" --json
    done
    job=$(field 'd["id"]')
    sql "insert into automation.execution_logs (tenant_id, queued_at, execution_id, job_id, duration_us, attempt, outcome, kind, queue)
        values ('$tenant', now(), gen_random_uuid(), gen_random_uuid(), 1, 1, 2, 'log_odd', 'default')"
    wait_for 20 "five logged" logged_n "tenant_id = '$tenant' and kind = 'noop'" 5 || return
    run 0 log list --tenant "$tenant" --json
    expect "all, newest first" "6 True" "$(field '" ".join((str(len(d)), str([r["queued_at"] for r in d] == sorted((r["queued_at"] for r in d), reverse=True))))')"
    run 0 log list --tenant "$tenant" --kind noop --json
    expect "by kind" "5 done" "$(field '" ".join((str(len(d)), d[0]["outcome"]))')"
    ids=$(field '" ".join(r["execution_id"] for r in d)')
    local paged= after=() page
    while :; do
        run 0 log list --tenant "$tenant" --kind noop --limit 2 --json "${after[@]}"
        page=$(field '" ".join(r["execution_id"] for r in d)')
        [ -n "$page" ] || break
        paged+="${paged:+ }$page"
        after=(--after "$(field 'd[-1]["queued_at"] + "/" + d[-1]["execution_id"]')")
    done
    expect "pages" "$ids" "$paged"
    run 0 log list --tenant "$tenant" --kind noop --limit 2
    contains "hint" "the next page: --after 20" "$out"
    run 0 log list --tenant "$tenant" --since 2099-01-01T00:00:00Z --json
    expect "since later" 0 "$(field 'len(d)')"
    run 0 log list --tenant "$tenant" --until 2020-01-01T00:00:00Z --json
    expect "until earlier" 0 "$(field 'len(d)')"
    run 0 log list --tenant "$tenant" --rule "$tenant" --json
    expect "of no such rule" 0 "$(field 'len(d)')"
    run 0 log failures --tenant "$tenant" --json
    expect "failures" "log_odd dead" "$(field '" ".join((d[0]["kind"], d[0]["outcome"]))')"
    run 0 log failures --kind log_odd --since 1h --json
    expect "failures of all" 1 "$(field 'len(d)')"
    run 0 log show "$job" --tenant "$tenant" --json
    expect "shown" "1 noop $job" "$(field '" ".join((str(len(d)), d[0]["kind"], d[0]["job_id"]))')"
    run 3 log show "$tenant" --tenant "$tenant"
    run 2 log list
    contains "needs a tenant" "--tenant: the id of a tenant is expected" "$out"
    run 2 log list --tenant "$tenant" --after nonsense
    contains "form of --after" "QUEUED_AT/EXECUTION_ID" "$out"
}

rollup_n() {
    sql 'select automation_priv.fold_rollups(100000)' >/dev/null
    [ "$(sql "select coalesce(sum(n), 0) from automation.execution_rollup where tenant_id = '$1'")" = "$2" ]
}
case_statistics_are_shown() {
    local tenant=10000000-0000-4000-8000-0000000000e2 i
    sql "insert into automation.tenants (tenant_id, name) values ('$tenant', 'Stats')
        ; insert into automation.vendors (tenant_id, vendor_id, name, kind) values ('$tenant', '$tenant', 'Flora', 'florist')
        ; insert into automation.vendor_rollup values ('$tenant', '$tenant', current_date, 3, 1, '[4:4]={1}')"
    for i in 1 2 3; do
        run 0 enqueue noop '{}' --tenant "$tenant"
    done
    wait_for 20 "three counted" rollup_n "$tenant" 3 || return
    run 0 stats rules --tenant "$tenant" --rule 00000000-0000-0000-0000-000000000000 --json
    expect "free jobs by day" "noop 3 3" "$(field '" ".join((d[0]["kind"], str(d[0]["attempts"]), str(d[0]["done"])))')"
    for i in rule milestone season vendor; do
        sql "refresh materialized view automation_priv.stats_$i"
    done
    run 0 stats rules --tenant "$tenant" --json
    expect "rules" "1 None 3" "$(field '" ".join((str(len(d)), str(d[0]["rule_id"]), str(d[0]["attempts"])))')"
    run 0 stats milestones --tenant "$tenant" --json
    expect "free jobs have no trigger" 0 "$(field 'len(d)')"
    run 0 stats seasons --tenant "$tenant" --json
    expect "seasons" 3 "$(field 'd[0]["attempts"]')"
    run 0 stats vendors --tenant "$tenant" --since 60d --json
    expect "vendors" "Flora 3 1" "$(field '" ".join((d[0]["name"], str(d[0]["asked"]), str(d[0]["confirmed"])))')"
    run 0 stats usage --tenant "$tenant" --json
    expect "usage" "0 3" "$(field '" ".join((str(d["rules"]), str(d["attempts"])))')"
    run 0 stats rules --tenant "$tenant"
    contains "table" "TOOK P95 US" "$out"
    run 2 stats usage
    run 2 stats vendors --tenant "$tenant" --since yesterday
}

case_migrate_down_says_what_would_be_lost() {
    run 4 migrate down
    contains "what" "every tenant, wedding, rule, unfinished job, run, dead letter and log row" "$out"
    contains "how" "--delete-all-data NAME" "$out"
    run 4 migrate down --delete-all-data other
    run 4 migrate down --delete-all-data "$(sql 'select current_database()')"
    contains "at work" "stop them first" "$out"
    run 0 migrate verify
}

case_stores_that_are_away_are_named() {
    out=$(DATABASE_URL=postgresql:///nothing?host=/nonexistent "$usher" dead list 2>&1)
    expect "exit code without PostgreSQL" 69 $?
    contains message PostgreSQL "$out"
    out=$(REDIS_URL=unix:///nonexistent "$usher" queue list 2>&1)
    expect "exit code without Redis" 69 $?
    contains message Redis "$out"
}

# ---- running them ------------------------------------------------------------------------------------------------------------

cases=("$@")
[ $# -gt 0 ] || mapfile -t cases < <(declare -F | sed -n 's/^declare -f case_/case_/p')
for case_name in "${cases[@]}"; do
    case_name=case_${case_name#case_}
    case_ok=yes
    "$case_name"
    if [ $case_ok = yes ]; then
        passed=$((passed + 1))
        echo "ok - $case_name"
    else
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
