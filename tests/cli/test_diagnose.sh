#!/usr/bin/env bash
# `kaskad diagnose` of files: the numbers agree with `kaskad metric` and with counting; wrong files are named.
# shellcheck source=tests/cli/lib.sh
source "$(dirname "$0")/lib.sh"

printf '%s\n' 'A dog ran.' 'The man saw the dog.' 'Yes.' >"$work/ref"
printf '%s\n' 'A dog ran.' 'the the the the dog' '' >"$work/odd"
printf '%s\n' 'A cat ran.' 'The man saw a cat.' 'No.' 'The dog sat.' >"$work/train"
diagnose() { "$program" diagnose -r "$work/ref" "$@"; }

check_exit "a table" 0 diagnose "$work/ref" odd="$work/odd"
check "a line for each and a head" "$(wc -l <"$work/out")" 4
check "the columns of a text" "$(awk '$1 == "odd" { print $4, $6, $9, $10 }' "$work/out")" "9 0.556 1 1"
check "its BLEU" "$(awk '$1 == "odd" { print $2 }' "$work/out")" \
    "$("$program" metric bleu -r "$work/ref" <"$work/odd" | grep -oE "= [0-9.]+" | head -n 1 | cut -c3-)"
check_has "the references are their own" "$(diagnose "$work/ref" --json | tail -n 1)" \
    '"divergence": {"unigram": 0, "bigram": 0, "skip_bigram": 0}}'
check "no training text, no beliefs" "$(grep -c length "$work/out")" 0

check_exit "with training text" 0 diagnose --train "$work/train" odd="$work/odd" --json
json=$(<"$work/out")
check_has "a posterior" "$json" '"mean_length": {"mean": '
check_has "three agreements" "$json" '"skip_bigram": {"mean": '
check_exit "from the standard input" 0 diagnose --train - odd="$work/odd" --json <"$work/train"
check "the same" "$(<"$work/out")" "$json"
s_of() { sed -n "$1s/.*\"agreement\": {\"unigram\": {\"mean\": \([0-9.e+]*\).*/\1/p" <<<"$json"; }
check "people are closer to it" "$(awk "BEGIN { print ($(s_of 1) > $(s_of 2)) }")" 1

head -n 2 "$work/ref" >"$work/short"
: >"$work/nothing"
refused() { # NAME MESSAGE ARGUMENTS...
    check_exit "$1" 1 diagnose "${@:3}"
    check_has "$1" "$(<"$work/err")" "$2"
    check "$1: nothing printed" "$(<"$work/out")" ""
}
refused "too few lines" "$work/short has 2 lines, but the references have 3" a="$work/short"
refused "an empty file" "$work/nothing is empty" "$work/nothing"
refused "empty training text" "$work/nothing is empty" --train "$work/nothing" "$work/odd"
refused "no such file" "cannot open $work/none" "$work/none"
check_exit "no reference" 2 "$program" diagnose "$work/odd"
finish
