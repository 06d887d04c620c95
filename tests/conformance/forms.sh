#!/bin/sh
# Every form of a suite that usher-conformance may meet: exit status, last line, and for what is no suite a message.
#
#     forms.sh path/to/usher-conformance
set -eu

runner=${1:?usage: forms.sh path/to/usher-conformance}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0
count=0

# form WHAT STATUS LAST-LINE TEXT-IN-THE-OUTPUT SUITE [OPTION…]
form() {
    what=$1 status=$2 last=$3 text=$4
    printf %s "$5" >"$dir/suite.json"
    shift 5
    count=$((count + 1))
    got=0
    "$runner" "$dir/suite.json" "$@" >"$dir/out" 2>"$dir/err" || got=$?
    if [ "$got" != "$status" ] || [ "$(tail -n 1 "$dir/out")" != "$last" ] || ! cat "$dir/out" "$dir/err" | grep -qF -- "$text"; then
        failed=$((failed + 1))
        echo "forms: $what: exit $got, wanted $status; last line wanted: $last; text wanted: $text"
        sed 's/^/    /' "$dir/out" "$dir/err"
    fi
}

none='0 passed, 0 failed'
form 'an empty file' 2 "$none" 'end of file' ''
form 'half a document' 2 "$none" 'line 1' '[[true, null'
form 'no JSON' 2 "$none" 'line 1' 'rules: 5'
form 'no UTF-8' 2 "$none" 'unable to decode' "[\"$(printf '\377')\"]"
form 'a number' 2 "$none" 'neither a list of cases' '5'
form 'cases that are no list' 2 "$none" 'neither a list of cases' '{"cases": {"rule": 1}}'
form 'an empty list' 2 "$none" 'no case in it' '[]'
form 'comments alone' 2 "$none" 'no case in it' '["only", "comments"]'
form 'an object that is none of the forms' 1 '0 passed, 1 failed' 'not a case' '{"a": 1}'
form 'entries that are none' 1 '0 passed, 7 failed' 'not a case' \
    '[5, null, [1], [1, null, 1, "more"], {}, {"rule": 1}, {"result": 1}]'
form 'lists and comments' 0 '2 passed, 0 failed' passed '["# comment", [{"+": [1, 2]}, null, 3.0], ["a", null, "a"]]'
form 'a wrong expectation' 1 '0 passed, 1 failed' 'got:      3' '[[{"+": [1, 2]}, null, 4]]'
form 'a lone case' 0 '1 passed, 0 failed' passed \
    '{"description": "alone", "rule": {"var": "n"}, "data": {"n": 5}, "result": 5}'
form 'data left out and data that is null' 0 '3 passed, 0 failed' passed \
    '[{"rule": {"var": ""}, "result": {}}, {"rule": {"var": ""}, "data": null, "result": null}, {"rule": null, "result": null}]'
form 'members that are not ours' 0 '1 passed, 0 failed' passed \
    '[{"description": "d", "rule": {"*": [0.1, 3]}, "data": {}, "result": 0.3, "decimal": true, "comment": "more members"}]'
form 'expected errors' 0 '6 passed, 0 failed' passed \
    '[{"rule": {"+": ["ten", 1]}, "error": {"type": "NaN"}}, {"rule": {"and": 1}, "error": {"type": "Invalid Arguments"}},
  {"rule": {"nope": 1}, "error": {"type": "Unknown Operator"}}, {"rule": {"throw": "own"}, "error": "own"},
  {"rule": {"throw": "any"}, "error": true}, {"rule": 1, "result": 1, "error": null}]'
form 'errors that are others, or none' 1 '0 passed, 4 failed' 'got:      2' \
    '[{"rule": {"+": [1, 1]}, "error": {"type": "NaN"}}, {"rule": {"throw": "own"}, "error": {"type": "other"}},
  {"rule": {"throw": "own"}, "error": "other"}, {"rule": {"throw": "own"}, "result": null}]'
form 'CertLogic' 1 '2 passed, 1 failed' '1 skipped' \
    '{"cases": [{"name": "c", "certLogicExpression": {"!": [{"var": ""}]}, "assertions": [{"data": {}, "expected": true},
  {"data": {"a": 1}, "expected": false}, {"directive": "skip"}]}, {"name": "none", "certLogicExpression": 1, "assertions": []}]}'
form 'a number beyond 64 bits' 0 '1 passed, 0 failed' passed \
    '[[{"==": [{"var": "n"}, 123456789012345678901234567890]}, {"n": 1}, false]]'
form 'strict mode' 1 '1 passed, 1 failed' unknown_operator '[[{"==": ["1", 1]}, null, null], [{"nope": 1}, null, 1]]' --mode strict
deep=$(awk 'BEGIN { for (i = 0; i < 500; i++) printf "["; for (i = 0; i < 500; i++) printf "]" }')
form 'a rule too deep' 1 '1 passed, 1 failed' limit_depth "[[$deep, null, null], [1, null, 1]]"

"$runner" "$dir/nowhere.json" >"$dir/out" 2>"$dir/err" && failed=$((failed + 1))
[ "$(cat "$dir/out")" = "$none" ] && grep -qF nowhere.json "$dir/err" || failed=$((failed + 1))
echo "forms: $((count + 1)) forms of a suite, $failed wrong"
[ "$failed" = 0 ]
