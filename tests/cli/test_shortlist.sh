#!/usr/bin/env bash
# `kaskad shortlist`: learned from pairs, measured, refused.
# shellcheck source=tests/cli/lib.sh
source "$(dirname "$0")/lib.sh"
root=$(dirname "$0")/../..
model=$root/models/tatoeba-deu-eng
dev=$root/data/tatoeba-deu-eng/dev.tsv
head -n 700 "$dev" >"$work/train.tsv"
tail -n 300 "$dev" >"$work/other.tsv"
cut -f 1 "$work/train.tsv" >"$work/train.de"
cut -f 2 "$work/train.tsv" >"$work/train.en"
gzip -k "$work/train.tsv"
# shellcheck disable=SC2317 # called through check_exit
shortlist() { "$program" shortlist -m "$model" "$@"; }
# number KEY: its value in the JSON object in $work/out
number() { sed -n "s/.*\"$1\": \([0-9.e+-]*\).*/\1/p" "$work/out"; }
# less NAME A B: A is a smaller number than B.
less() { check "$1: $2 < $3" "$(awk -v a="$2" -v b="$3" 'BEGIN { print (a < b) }')" 1; }

# --- a run ---
check_exit "a run" 0 shortlist --data "$work/train.tsv.gz" --dev "$work/other.tsv" \
    --out "$work/list.bin"
check_has "what was written" "$(<"$work/out")" "list.bin: "
check_has "what it was made of" "$(<"$work/out")" " 101 tokens in every list, $(stat -c %s "$work/list.bin") bytes; from 700 pairs in "
check_has "the coverage" "$(<"$work/out")" "other.tsv: lists of "
check_has "progress" "$(<"$work/err")" "learning, iteration 3 of 3, "
check "the magic" "$(head -c 7 "$work/list.bin")" "ksklist"
check_exit "two files, quiet" 0 shortlist --source "$work/train.de" --target "$work/train.en" \
    --out "$work/two.bin" --quiet
check "no progress" "$(<"$work/err")" ""
check "no coverage" "$(wc -l <"$work/out")" 1
cmp "$work/list.bin" "$work/two.bin"
check "the same shortlist" $? 0

# --- what the numbers do ---
# Pairs that it has learned from, with room for everything, are covered wholly.
check_exit "no token left out" 0 shortlist --data "$work/train.tsv" --dev "$work/train.tsv" \
    --out "$work/all.bin" --per-token 10000 --frequent 0 --iterations 1 --json -q
check "all is covered" "$(number covered) $(number whole_sentences)" "1 1"
check "only the end is in every list" "$(number always)" 1
check "pairs" "$(number pairs)" 700
check_exit "few candidates" 0 shortlist --data "$work/train.tsv" --dev "$work/other.tsv" \
    --out "$work/few.bin" --per-token 3 --frequent 20 --json -q
few=$(number covered) few_list=$(number mean_list) few_bytes=$(number bytes)
check_exit "more candidates" 0 shortlist --data "$work/train.tsv" --dev "$work/other.tsv" \
    --out "$work/more.bin" --per-token 9 --frequent 20 --json -q
less "more are covered" "$few" "$(number covered)"
less "by longer lists" "$few_list" "$(number mean_list)"
less "in a larger file" "$few_bytes" "$(number bytes)"
check_exit "more frequent tokens" 0 shortlist --data "$work/train.tsv" --dev "$work/other.tsv" \
    --out "$work/more.bin" --per-token 3 --frequent 60 --json -q
less "more are covered" "$few" "$(number covered)"
check_exit "fewer pairs" 0 shortlist --data "$work/train.tsv" --dev "$work/other.tsv" \
    --out "$work/more.bin" --per-token 3 --frequent 20 --limit 300 --json -q
check "the limit" "$(number pairs)" 300
less "fewer are covered" "$(number covered)" "$few"

# --- refused; the old file stays ---
refused() { # NAME MESSAGE COMMAND...
    check_exit "$1" 1 "${@:3}"
    check_has "$1" "$(<"$work/err")" "$2"
}
cp "$work/list.bin" "$work/before.bin"
printf 'Ja.\tYes.\nNein. No.\n' >"$work/bad.tsv"
refused "a bad line" "bad.tsv:2: no tab" shortlist --data "$work/bad.tsv" --out "$work/list.bin"
refused "a bad line to measure with" "bad.tsv:2: no tab" shortlist --data "$work/train.tsv" \
    --dev "$work/bad.tsv" --out "$work/list.bin"
refused "no such file" "cannot open" shortlist --data "$work/none.tsv" --out "$work/list.bin"
refused "no such directory" "cannot create" shortlist --data "$work/train.tsv" \
    --out "$work/none/list.bin"
refused "no such model" "none" "$program" shortlist -m "$work/none" --data "$work/train.tsv" \
    --out "$work/list.bin"
# shellcheck disable=SC2317 # called through check_exit
full_disk() { (ulimit -f 16 && shortlist --data "$work/train.tsv" --out "$work/list.bin"); }
refused "a full disk" "cannot write" full_disk
cmp "$work/list.bin" "$work/before.bin"
check "the old file" $? 0
check "nothing is left over" "$(cd "$work" && echo list*)" "list.bin"

# --- used wrongly ---
check_exit "no data" 2 shortlist --out "$work/x.bin"
check_exit "both kinds of data" 2 shortlist --data "$work/train.tsv" --source "$work/train.de" \
    --target "$work/train.en" --out "$work/x.bin"
check_exit "one side" 2 shortlist --source "$work/train.de" --out "$work/x.bin"
check_exit "nowhere to write" 2 shortlist --data "$work/train.tsv"
check_exit "no candidates" 2 shortlist --data "$work/train.tsv" --out "$work/x.bin" --per-token 0
check "nothing was written" "$([[ -e $work/x.bin ]]; echo $?)" 1
finish
