#!/usr/bin/env bash
# `kaskad distill`: pairs in order, sources translated once, killed and resumed, refused.
# shellcheck source=tests/cli/lib.sh
source "$(dirname "$0")/lib.sh"
root=$(dirname "$0")/../..
model=$root/models/tatoeba-deu-eng
# Short lines, with a source again in the same chunk, in a later one, and with another target.
head -n 400 "$root/data/tatoeba-deu-eng/dev.tsv" | awk 'length < 60' | head -n 60 >"$work/some.tsv"
{
    cat "$work/some.tsv"
    sed -n '3p;7p;60p' "$work/some.tsv"
    sed -n '3s/\t.*/\tsomething else/p' "$work/some.tsv"
} >"$work/data.tsv"
gzip -k "$work/data.tsv"
# shellcheck disable=SC2317 # called through check_exit
distill() { "$program" distill -m "$model" --beam 2 --threads 1 --quiet "$@"; }

# --- a run ---
check_exit "a run" 0 distill --data "$work/data.tsv.gz" --out "$work/whole.tsv" --chunk 10
check "a source each, in order" "$(cut -f 1 "$work/whole.tsv")" "$(cut -f 1 "$work/data.tsv")"
check "what translate gives" "$(cut -f 2 "$work/whole.tsv")" \
    "$(cut -f 1 "$work/data.tsv" | "$program" translate -m "$model" --beam 2 --precision int8)"
check_has "sources once" "$(<"$work/out")" "64 pairs of 64 lines, 60 sources translated"
check_has "the raw length line" "$(<"$work/out")" "length line, raw: "
check "nothing is left over" "$(cd "$work" && echo whole*)" "whole.tsv whole.tsv.json"
for key in '"beam": 2' '"precision": "int8"' '"data": "sha256:' '"teacher": "sha256:' '"distilled": {'; do
    check_has "the report" "$(<"$work/whole.tsv.json")" "$key"
done
check_exit "sources alone" 0 distill --source <(cut -f 1 "$work/data.tsv") --out "$work/alone.tsv" \
    --limit 20 --json
check "the first lines" "$(<"$work/alone.tsv")" "$(head -n 20 "$work/whole.tsv")"
check_has "no raw length line" "$(<"$work/out")" '"raw": null'
check_exit "whole already" 0 distill --data "$work/data.tsv" --out "$work/whole.tsv" --resume --json
check_has "the same numbers" "$(<"$work/out")" '"pairs": 64, "translated": 60'

# --- killed at random moments ---
RANDOM=${KASKAD_TEST_SEED:-7}
killed=0
while [[ ! -e $work/killed.tsv && $killed -lt 60 ]]; do
    before=$(cat "$work/killed.tsv.part.json" 2>/dev/null)
    "$program" distill -m "$model" --beam 2 --threads 1 --quiet --data "$work/data.tsv" \
        --out "$work/killed.tsv" --chunk 7 --resume >"$work/err" 2>&1 &
    pid=$!
    while [[ $killed -gt 0 && $(cat "$work/killed.tsv.part.json" 2>/dev/null) == "$before" ]] &&
        kill -0 $pid 2>/dev/null; do
        sleep 0.01
    done
    sleep "0.0$((RANDOM % 10))"
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null
    killed=$((killed + 1))
done
[[ $killed -gt 2 ]]
check "killed a few times ($killed)" $? 0
check_exit "and to the end" 0 distill --data "$work/data.tsv" --out "$work/killed.tsv" --resume
check "the same file" "$(sha256sum <"$work/killed.tsv")" "$(sha256sum <"$work/whole.tsv")"
check "the same report" "$(sed '/"data"/d' "$work/killed.tsv.json")" \
    "$(sed '/"data"/d' "$work/whole.tsv.json")"

# --- stopped by a signal; a torn line behind the last chunk ---
"$program" distill -m "$model" --data "$root/data/tatoeba-deu-eng/dev.tsv" --chunk 5 --threads 1 \
    --out "$work/stopped.tsv" >/dev/null 2>"$work/stop" &
pid=$!
for _ in {1..200}; do
    [[ -f $work/stopped.tsv.part.json ]] && break
    sleep 0.05
done
kill -TERM $pid
wait $pid
check "a signal stops it" $? 143
check_has "and it says how to go on" "$(<"$work/stop")" "--resume goes on"
check_has "progress" "$(<"$work/stop")" " lines/s, "
check "no file yet" "$([[ -e $work/stopped.tsv ]]; echo $?)" 1
check_exit "a start" 0 distill --data "$work/data.tsv" --out "$work/torn.tsv" --limit 20
{
    head -n 14 "$work/torn.tsv"
    printf 'Ein halb'
} >"$work/torn.tsv.part"
bytes=$(head -n 14 "$work/torn.tsv" | wc -c)
sed -n '/"settings"/,/}/p' "$work/torn.tsv.json" | {
    echo "{"
    cat
    echo "\"bytes\": $bytes, \"position\": {\"lines\": 14, \"pairs\": 14, \"translated\": 14}}"
} >"$work/torn.tsv.part.json"
cp "$work/torn.tsv" "$work/before.tsv"
check_exit "a torn line" 0 distill --data "$work/data.tsv" --out "$work/torn.tsv" --limit 20 --resume
check "the same file again" "$(<"$work/torn.tsv")" "$(<"$work/before.tsv")"

# --- refused ---
refused() { # NAME MESSAGE COMMAND...
    check_exit "$1" 1 "${@:3}"
    check_has "$1" "$(<"$work/err")" "$2"
}
refused "begun without --resume" "is unfinished; go on with it" \
    distill --data "$root/data/tatoeba-deu-eng/dev.tsv" --out "$work/stopped.tsv"
refused "another search" 'begun with another "beam"' \
    distill --data "$root/data/tatoeba-deu-eng/dev.tsv" --out "$work/stopped.tsv" --beam 3 --resume
refused "other data" 'begun with another "data"' distill --data "$work/data.tsv" \
    --out "$work/stopped.tsv" --beam 5 --precision int8 --resume
printf 'Ja.\tYes.\nNein. No.\n' >"$work/bad.tsv"
refused "a bad line" "bad.tsv:2: no tab" distill --data "$work/bad.tsv" --out "$work/x.tsv"
refused "no such file" "cannot open" distill --data "$work/none.tsv" --out "$work/x.tsv"
refused "no such directory" "cannot open" distill --data "$work/data.tsv" --out "$work/none/x.tsv"
check "nothing is left of them" "$(cd "$work" && ls x.tsv* 2>/dev/null)" ""
check_exit "both kinds of data" 2 distill --data "$work/data.tsv" --source "$work/data.tsv" \
    --out "$work/x.tsv"
check_exit "no data" 2 distill --out "$work/x.tsv"
refused "a length line for another model" "is no Markov Transformer" distill \
    --data "$work/data.tsv" --out "$work/whole.tsv" --resume --write-length "$model"
mkdir "$work/markov"
sed 's/"model_type": "marian"/"model_type": "kaskad-markov", "markov_order": 2/' \
    "$model/config.json" >"$work/markov/config.json"
check_exit "a length line" 0 distill --data "$work/data.tsv" --out "$work/whole.tsv" --resume \
    --write-length "$work/markov"
check "is written" "$(grep -c '"length_[ab]": [0-9.-]*,\?$' "$work/markov/config.json")" 2
finish
