#!/usr/bin/env bash
# `kaskad score`, `inspect` and `verify` on the model that ships.
# shellcheck source=tests/cli/lib.sh
source "$(dirname "$0")/lib.sh"
model=$(dirname "$0")/../../models/tatoeba-deu-eng

printf 'Hallo!\nIch bin müde.\nWo ist der Bahnhof?\n' >"$work/de"
"$program" translate -m "$model" --precision f32 --decode greedy --json <"$work/de" >"$work/json"
"$program" translate -m "$model" --precision f32 --decode greedy <"$work/de" >"$work/en"
score() { "$program" score -m "$model" --source "$work/de" --target "$work/en" "$@"; }

# What greedy search made has the log-probability that greedy search gave it.
score >"$work/scores"
check "lines" "$(wc -l <"$work/scores")" 3
paste "$work/scores" <(grep -o '"log_prob": [^,]*' "$work/json" | cut -d' ' -f2) |
    awk '{ d = $1 - $2; if (d < -1e-4 || d > 1e-4) exit 1 }'
check "the same log-probabilities" $? 0
check "one at a time" "$(score --batch-size 1 --threads 1)" "$(<"$work/scores")"
check "standard input" "$("$program" score -m "$model" --source - --target "$work/en" <"$work/de")" \
    "$(<"$work/scores")"
check "JSON" "$(score --json | head -n 1 | grep -o '"[a-z_]*": ' | tr -d '": \n')" \
    "linelog_probtokensperplexity"

# A worse translation is less likely.
printf 'Hello!\nGreen am seven.\nWhere is the station?\n' >"$work/en"
awk 'NR == FNR { good[FNR] = $1; next } FNR == 2 { exit !($1 < good[2] - 5) }' "$work/scores" <(score)
check "worse is less" $? 0

head -n 2 "$work/de" >"$work/short"
check_exit "more targets" 1 "$program" score -m "$model" --source "$work/short" --target "$work/en"
check_has "more targets are said" "$(<"$work/err")" "$work/en has more lines than $work/short"
check_exit "fewer targets" 1 "$program" score -m "$model" --source "$work/de" --target "$work/short"
check_has "fewer targets are said" "$(<"$work/err")" "$work/short has only 2 lines"
check "what could be scored is there" "$(wc -l <"$work/out")" 2

check_exit "inspect" 0 "$program" inspect "$model"
check_has "settings" "$(<"$work/out")" "d_model"
check_has "sizes" "$(<"$work/out")" "8000"

check_exit "verify" 0 "$program" verify -m "$model"
check_has "texts are counted" "$(<"$work/out")" "3 texts"
mkdir "$work/other"
cp "$model"/*.{json,safetensors,spm} "$work/other"
sed -i -E '0,/[0-9]+\.[0-9]{5,}/s//99.5/' "$work/other/kaskad.json" # another logit than was recorded
check_exit "a difference is found" 1 "$program" verify -m "$work/other"
check_has "and named" "$(<"$work/err")" "the logit of id "
check_has "and where" "$(<"$work/err")" " at step 0"
rm "$work/other/kaskad.json"
check_exit "no proof" 1 "$program" verify -m "$work/other"
check_has "the missing proof is named" "$(<"$work/err")" "kaskad.json"
finish
