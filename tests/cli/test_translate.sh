#!/usr/bin/env bash
# `kaskad translate` on the model that ships: lines, options, outputs, failures.
# shellcheck source=tests/cli/lib.sh
source "$(dirname "$0")/lib.sh"
model=$(dirname "$0")/../../models/tatoeba-deu-eng
translate() { "$program" translate -m "$model" "$@"; }

# --- the reference's translations (transformers 4.57.6, f32: tests/fixtures/tatoeba) ---
cat >"$work/de" <<'END'
Halte mich für alle weitere Entwicklungen auf dem Laufenden.
Das hatte ich bereits vermutet.
Ich hätte mich mit einem Sonnenschutzmittel einreiben sollen.
Ich will nicht in deiner Haut stecken.
Das ist so eine traurige Geschichte.
Ich habe kein Radio gehört.
Krokodile haben scharfe Zähne.
Wie weit kann man ihm vertrauen?
Tom hat es nicht sehr ernst gemeint.
Maria ist noch immer so schön, wie sie als Jugendliche war.
Sind das da nicht deine Eltern?
END
cat >"$work/greedy" <<'END'
Keep me up to all the time.
I had already guessed that.
I should've decreased myself with a sunshine.
I don't want to be in your shoes.
That's such a sad story.
I didn't hear the radio.
Krocococons have sharp teeth.
How far can you trust him?
Tom didn't mean it very serious.
Mary is still as beautiful as she was young as she used to be.
Aren't that your parents?
END
cat >"$work/beam5" <<'END'
Hold me on all more discovery.
I had already guessed that.
I should've introduced myself with a sunshine.
I don't want to be in your shoes.
That's such a sad story.
I didn't hear the radio.
Crororos have sharp teeth.
How far can you trust him?
Tom didn't mean it very serious.
Mary is still as beautiful as she was a teenager.
Aren't this your parents?
END
check "greedy" "$(translate --precision f32 --decode greedy <"$work/de")" "$(<"$work/greedy")"
check "beam 5" "$(translate --precision f32 --beam 5 <"$work/de")" "$(<"$work/beam5")"
check "one at a time on one thread" \
    "$(translate --precision f32 --beam 5 --batch-size 1 --threads 1 <"$work/de")" "$(<"$work/beam5")"
check "others join as some end" \
    "$(translate --precision f32 --beam 5 --batch-size 3 --threads 1 <"$work/de")" "$(<"$work/beam5")"
check "greedy, the same" \
    "$(translate --precision f32 --decode greedy --batch-size 4 --threads 1 <"$work/de")" "$(<"$work/greedy")"
check "few tokens at a time" "$(translate --precision f32 --beam 5 --batch-tokens 20 <"$work/de")" "$(<"$work/beam5")"

# --- lines ---
hello=$(translate <<<"Hallo!")
bytes() { od -An -c | tr -s ' \n' ' '; }
check "no input, no output" "$(translate </dev/null | wc -c)" 0
check "CR-LF, empty lines, no last newline" \
    "$(printf 'Hallo!\r\n\n\r\nHallo!' | translate | bytes)" \
    "$(printf '%s\r\n\n\r\n%s' "$hello" "$hello" | bytes)"
check "an empty line" "$(printf '\n' | translate | bytes)" "$(printf '\n' | bytes)"

# Invalid bytes and NUL bytes are counted, and the line is that with U+FFFD instead.
check "invalid bytes" "$(printf 'Ha\xffllo\n' | translate 2>"$work/err")" \
    "$(printf 'Ha\xef\xbf\xbdllo\n' | translate)"
check_has "invalid bytes are said" "$(<"$work/err")" "1 bytes in 1 lines"
check "NUL bytes" "$(printf 'Hallo!\nHa\0llo\n' | translate 2>"$work/err")" \
    "$(printf 'Hallo!\nHa\xef\xbf\xbdllo\n' | translate)"
check_has "NUL bytes are said" "$(<"$work/err")" "the first are in line 2"
translate --precision f32 --beam 5 --profile --threads 2 --batch-size 3 <"$work/de" >"$work/out" 2>"$work/err"
check "--profile leaves the output" "$(<"$work/out")" "$(<"$work/beam5")"
for kind in product attention log-softmax top-k tokenizer search 'rows <='; do
    check_has "--profile has $kind" "$(<"$work/err")" "$kind"
done
printf 'Ha\0llo\n' | translate --quiet >"$work/out" 2>"$work/err"
check "--quiet" "$(<"$work/err")" ""

# --- streaming: each line is answered before the next is sent ---
coproc dialogue { translate 2>&1; }
for _ in 1 2 3; do
    echo "Hallo!" >&"${dialogue[1]}"
    answer=
    read -r -t 60 -u "${dialogue[0]}" answer
    check "an answer at once" "$answer" "$hello"
done
eval "exec ${dialogue[1]}>&-"
# shellcheck disable=SC2154 # coproc sets it
wait "$dialogue_PID"
check "dialogue ends well" $? 0

# An endless input is read no further than needed; a reader that leaves ends the program quietly.
yes "Hallo!" | translate 2>"$work/err" | head -n 3 >"$work/out"
check "endless input" "$(<"$work/out")" "$(printf '%s\n%s\n%s' "$hello" "$hello" "$hello")"
check "a reader that leaves" "$(<"$work/err")" ""
check_exit "full disk" 1 bash -c "echo Hallo! | '$program' translate -m '$model' >/dev/full"
check_has "full disk is said" "$(<"$work/err")" "cannot write the output"

# --- other outputs ---
translate --json --beam 4 --n-best 3 <"$work/de" >"$work/json"
check "a JSON object a line" "$(wc -l <"$work/json")" "$(wc -l <"$work/de")"
check "JSON fields" "$(head -n 1 "$work/json" | grep -o '"[a-z_]*": ' | sort -u | tr -d '": \n')" \
    "alternativesfinishedidslinelog_probprecisionreplaced_bytesscoresecondssourcesource_idstext"
check "alternatives" "$(head -n 1 "$work/json" | grep -o '"finished": true' | wc -l)" 3
check "quotes in JSON" "$(printf 'Sag "Hallo"\\!\t\n' | translate --json | cut -d, -f2)" \
    ' "source": "Sag \"Hallo\"\\!\u0009"'
check "an empty line in JSON" "$(echo | translate --json | grep -c '"text": "",')" 1

translate --beam 4 --n-best 3 <"$work/de" >"$work/nbest"
check "n-best lines" "$(cut -f1 "$work/nbest" | uniq -c | awk '{printf "%d:%d ", $2, $1}')" \
    "$(seq "$(wc -l <"$work/de")" | awk '{printf "%d:3 ", $1}')"
check "n-best is sorted" "$(sort -s -k1,1n -k2,2gr -t$'\t' "$work/nbest")" "$(<"$work/nbest")"
check "the best of n" "$(awk -F'\t' '$1 != last { print $3 } { last = $1 }' "$work/nbest")" \
    "$(translate --beam 4 <"$work/de")"
check "scores" "$(translate --scores --beam 4 <"$work/de" | cut -f2)" \
    "$(translate --beam 4 <"$work/de")"

# --- sampling ---
sample() { translate --precision f32 --decode sample "$@" <"$work/de"; }
check "the same seed" "$(sample --seed 5)" "$(sample --seed 5 --batch-size 3 --threads 1)"
[[ $(sample --seed 5) != "$(sample --seed 6)" ]]
check "another seed" $? 0
check "a draw among one is greedy" "$(sample --top-k 1)" "$(<"$work/greedy")"
check "next to no temperature is greedy" "$(sample --temperature 0.001)" "$(<"$work/greedy")"

# --- limits ---
long=$(printf 'Das ist ein Haus und %.0s' {1..200})
check_exit "a long line is cut" 0 bash -c "echo '$long' | '$program' translate -m '$model'"
check "one line still" "$(wc -l <"$work/out")" 1
printf 'Hallo!\n%s\nHallo!\n' "$long" >"$work/long"
check_exit "a long line by choice fails" 1 \
    bash -c "'$program' translate -m '$model' --long error <'$work/long'"
check "what came before is there" "$(<"$work/out")" "$hello"
check_has "the line is named" "$(<"$work/err")" "line 2: "
check "short output" "$(translate --json --max-length 4 <<<"$(head -n 1 "$work/de")" |
    grep -c '"finished": false')" 1
check "--split" "$(translate --split <<<"Hallo! Hallo!")" "$hello $hello"

check_exit "a limit that suffices" 0 bash -c "echo Hallo! |
    '$program' translate -m '$model' --threads 1 --batch-size 1 --max-length 20 --memory-limit 200M"
check "changes nothing" "$(<"$work/out")" "$hello"
check_exit "too little memory" 1 "$program" translate -m "$model" --memory-limit 30M </dev/null
check_has "what is needed is said" "$(<"$work/err")" "the memory limit is 30 MiB"
check_exit "too little for the batch" 1 \
    "$program" translate -m "$model" --memory-limit 100M --batch-size 64 --threads 1 </dev/null
check_has "the batch is named" "$(<"$work/err")" "the batch size (64)"
check_exit "no size" 2 "$program" translate -m "$model" --memory-limit 2X </dev/null
check_has "sizes are explained" "$(<"$work/err")" "64K, 512M or 2G, not '2X'"
printf 'Hallo!\nHallo, hallo!\n' >"$work/lines"
check_exit "a line over the limit" 1 bash -c "'$program' translate -m '$model' --max-line 8 <'$work/lines'"
check "those before it are there" "$(<"$work/out")" "$hello"
check_has "the limit is named" "$(<"$work/err")" "line 2 has more than 8 bytes"
check_exit "no time" 1 bash -c "'$program' translate -m '$model' --time-limit 1e-9 <'$work/lines'"
check_has "the time limit is named" "$(<"$work/err")" "line 1: decoding takes longer than the time limit"

# --- signals: what was begun is finished and printed, in order ---
for signal in INT:130 TERM:143; do
    coproc dialogue { exec "$program" translate -m "$model" 2>"$work/err"; }
    pid=$dialogue_PID
    echo "Hallo!" >&"${dialogue[1]}"
    read -r -t 60 -u "${dialogue[0]}" answer
    check "an answer before the signal" "$answer" "$hello"
    kill -"${signal%:*}" "$pid"
    wait "$pid"
    check "SIG$signal while waiting for input" $? "${signal#*:}"
    check "without a word" "$(<"$work/err")" ""
done
for _ in {1..300}; do cat "$work/de"; done >"$work/much"
"$program" translate -m "$model" --threads 1 --beam 5 --precision f32 <"$work/much" >"$work/part" &
pid=$!
for _ in {1..200}; do
    [[ -s $work/part ]] && break
    sleep 0.1
done
kill -TERM $pid
wait $pid
check "SIGTERM in the middle" $? 143
lines=$(wc -l <"$work/part")
[[ $lines -gt 0 && $lines -lt $(wc -l <"$work/much") ]]
check "some lines were translated ($lines)" $? 0
check "whole lines in order" "$(<"$work/part")" \
    "$(for _ in {1..300}; do cat "$work/beam5"; done | head -n "$lines")"

# --- options that only the model can judge are refused before any input is read ---
for options in "--beam 2 --n-best 3" "--max-length 513" "--min-length 600" "--prefix-ids 8000"; do
    # shellcheck disable=SC2086
    check_exit "$options" 1 "$program" translate -m "$model" $options </dev/null
    [[ $(<"$work/err") != *line* && $(<"$work/out") == "" ]]
    check "said without a line: $options" $? 0
done
finish
