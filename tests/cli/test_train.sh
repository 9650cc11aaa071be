#!/usr/bin/env bash
# `kaskad train`: a smoke run, runs that are killed and resumed, and what goes wrong.
# shellcheck source=tests/cli/lib.sh
source "$(dirname "$0")/lib.sh"
root=$(dirname "$0")/../..
recipe=$root/recipes/smoke.yaml
# Fewer pairs and updates than the recipe has, so that the whole script takes a minute.
tiny=(--max-pairs 300 --max-dev-pairs 20 --vocabulary 350 --d-model 32 --ffn 64 --batch-tokens 500
    --max-updates 60 --eval-every 20 --save-every 7 --log-every 5 --warmup 10)
# shellcheck disable=SC2317 # called through check_exit
train() { "$program" train "$recipe" "${tiny[@]}" "$@"; }

# --- a run ---
check_exit "a run" 0 train --out "$work/whole"
check "where the model is" "$(<"$work/out")" "$work/whole/model"
check_has "evaluations are said" "$(<"$work/err")" "update 40, epoch "
check_has "the model's numbers are said" "$(<"$work/err")" "the model: dev loss "
for file in recipe.yaml run.json log.jsonl curve.svg state/state.json model/config.json \
    model/generation_config.json model/kaskad.json model/source.spm model/vocab.json; do
    [[ -s $work/whole/$file ]]
    check "$file" $? 0
done
check "checkpoints for the average" "$(ls "$work/whole/checkpoints")" \
    "$(printf '%08d.safetensors\n' 40 60)"
check_exit "the model proves itself" 0 "$program" verify -m "$work/whole/model"
check "the model translates" \
    "$(printf 'Hallo!\nJa.\n' | "$program" translate -m "$work/whole/model" | wc -l)" 2
check "a line of the log each time" "$(grep -c '"event":"updates"' "$work/whole/log.jsonl")" 12
first=$(sed -n 's/.*"loss":\([0-9.]*\),.*/\1/p' "$work/whole/log.jsonl" | head -n 1)
last=$(sed -n 's/.*"loss":\([0-9.]*\),.*/\1/p' "$work/whole/log.jsonl" | tail -n 1)
check "it learns" "$(awk -v a="$first" -v b="$last" 'BEGIN { print (b < 0.9 * a) }')" 1

# --- a Markov Transformer ---
check_exit "a Markov Transformer" 0 train --out "$work/markov" --markov-order 2 --max-updates 40 --quiet
for key in '"model_type": *"kaskad-markov"' '"markov_order": *2' '"length_a": *[0-9.]' \
    '"length_b": *-\?[0-9.]'; do
    grep -q "$key" "$work/markov/model/config.json"
    check "its config says $key" $? 0
done
check_exit "it proves itself" 0 "$program" verify -m "$work/markov/model"
check "it translates by the cascade" "$(printf 'Hallo!\nJa.\n' |
    "$program" translate -m "$work/markov/model" --topk 4 --rounds 2 --delta 1 | wc -l)" 2
check_exit "rounds beyond its order" 1 "$program" translate -m "$work/markov/model" --rounds 4 </dev/null
check_has "the order is named" "$(<"$work/err")" "order 2 allows 3"

# --- weights of another checkpoint ---
check_exit "a deeper model" 0 train --out "$work/deep" --decoder-layers 2 --max-updates 40 --quiet
from=(--init-from "$work/deep/model" --markov-order 2 --max-updates 20)
check_exit "begun with a model's weights" 0 train --out "$work/student" "${from[@]}"
check_has "what was taken is said" "$(<"$work/err")" \
    "deep/model: 43 of 43 tensors taken; 26 of the checkpoint's are not used"
check "and logged" "$(grep -c '"event":"init".*"model.decoder.layers.0.fc1.weight".*"not_taken":\[\]' \
    "$work/student/log.jsonl")" 1
digest=$(sha256sum <"$work/deep/model/model.safetensors")
check_has "its digest" "$(<"$work/student/run.json")" "\"weights\": \"sha256:${digest%% *}\""
check "its vocabulary" "$(sha256sum <"$work/student/model/vocab.json")" \
    "$(sha256sum <"$work/deep/model/vocab.json")"
check "it begins better than it would" "$(awk -v a="$first" -v b="$(sed -n \
    's/.*"loss":\([0-9.]*\),.*/\1/p' "$work/student/log.jsonl" | head -n 1)" \
    'BEGIN { print (b < 0.95 * a) }')" 1
check_exit "for some updates" 0 train --out "$work/parts" "${from[@]}" --max-updates 9 --quiet
check_exit "and on without the checkpoint" 0 \
    train --out "$work/parts" "${from[@]}" --resume --quiet
check_exit "a wider one" 0 train --out "$work/wider" "${from[@]}" --ffn 80 --max-updates 2
check_has "what was not taken is said" "$(<"$work/err")" \
    "tensors taken; not model.encoder.layers.0.fc1.weight, "

# --- the same weights again, on one thread, accumulated the same ---
weights() { sha256sum <"$1/model/model.safetensors"; }
check_exit "one thread" 0 train --out "$work/one" --threads 1 --quiet
check "the same weights on one thread" "$(weights "$work/one")" "$(weights "$work/whole")"
check "--quiet" "$(<"$work/err")" ""
check_exit "another seed" 0 train --out "$work/seed" --seed 2 --max-updates 20 --quiet
check_exit "weights in bf16, two batches an update" 0 \
    train --out "$work/bf16" --weights bf16 --accumulate 2 --max-updates 20 --quiet
check_exit "bf16 proves itself" 0 "$program" verify -m "$work/bf16/model"

# --- killed at random moments: once before anything was saved, then some time after a save ---
RANDOM=${KASKAD_TEST_SEED:-7}
killed=0
saved() { cat "$work/killed/state/state.json" 2>/dev/null; }
while [[ ! -e $work/killed/model/model.safetensors && $killed -lt 30 ]]; do
    before=$(saved)
    "$program" train "$recipe" "${tiny[@]}" --out "$work/killed" --resume --quiet >"$work/err" 2>&1 &
    pid=$!
    while [[ $killed -gt 0 && $(saved) == "$before" ]] && kill -0 $pid 2>/dev/null; do
        sleep 0.02
    done
    sleep "0.$((RANDOM % 4))$((RANDOM % 10))"
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null
    killed=$((killed + 1))
done
[[ $killed -gt 2 ]]
check "killed a few times ($killed)" $? 0
check_exit "and to the end" 0 "$program" train --resume --out "$work/killed" --quiet
check "the same weights" "$(weights "$work/killed")" "$(weights "$work/whole")"
plain() { sed 's/,"tokens_per_second.*//; s/,"seconds.*//' "$1/log.jsonl"; }
check "the same log" "$(plain "$work/killed")" "$(plain "$work/whole")"

# --- stopped by a signal ---
"$program" train "$recipe" "${tiny[@]}" --max-updates 100000 --out "$work/stopped" \
    >/dev/null 2>"$work/stop" &
pid=$!
for _ in {1..100}; do
    [[ -f $work/stopped/state/state.json ]] && break
    sleep 0.1
done
kill -TERM $pid
wait $pid
check "a signal stops it" $? 143
check_has "and it says how to go on" "$(<"$work/stop")" "kaskad train --resume --out $work/stopped"
done=$(sed -n 's/^  "update": \([0-9]*\),/\1/p' "$work/stopped/state/state.json")
check_exit "it goes on" 0 "$program" train --resume --out "$work/stopped" --quiet \
    --max-updates $((done + 3))
check "from there" "$(sed -n 's/^  "update": \([0-9]*\),/\1/p' "$work/stopped/state/state.json")" \
    $((done + 3))

# --- refused ---
refused() { # NAME MESSAGE COMMAND...
    check_exit "$1" 1 "${@:3}"
    check_has "$1" "$(<"$work/err")" "$2"
}
refused "a directory with a run" "holds a run; resume it" train --out "$work/whole"
refused "another recipe" "begun with d_model 32, not 64" \
    train --out "$work/whole" --resume --d-model 64
refused "weights that do not fit" "no tensor of init_from" \
    train --out "$work/x1" --init-from "$work/whole/model" --d-model 24 --ffn 40
refused "another vocabulary" "has another vocabulary" train --out "$work/x2" \
    --init-from "$work/whole/model" --tokenizer "$root/models/tatoeba-deu-eng"
refused "no checkpoint there" "cannot open" train --out "$work/x3" --init-from "$work/none"
refused "a value" "heads is a whole number" train --out "$work/x" --heads many
refused "no recipe there" "cannot open" "$program" train "$work/none.yaml" --out "$work/x"
check_exit "no recipe" 2 "$program" train --out "$work/x"
check_exit "an unknown key" 2 train --out "$work/x" --batch-token 5
check_has "the nearest key" "$(<"$work/err")" "--batch-tokens?"
sed '3s/tab//; 3s/\t/ /' "$root/data/tatoeba-deu-eng/dev.tsv" >"$work/bad.tsv"
refused "a bad line" "bad.tsv:3: no tab" train --out "$work/x" --train "$work/bad.tsv"
head -n 50 "$root/data/tatoeba-deu-eng/dev.tsv" >"$work/data.tsv"
check_exit "data of its own" 0 train --out "$work/own" --dev "$work/data.tsv" --max-updates 3 --quiet
echo "Ja.	Yes." >>"$work/data.tsv"
refused "changed data" "not those that the run was begun with" \
    "$program" train --out "$work/own" --resume
refused "a directory that cannot be made" "cannot make the directory" \
    train --out "$work/bad.tsv/run"
if [[ $(id -u) -ne 0 ]]; then
    mkdir "$work/locked"
    chmod a-w "$work/locked"
    refused "a directory without leave to write" "Permission denied" train --out "$work/locked/run"
fi

# --- failures on the way leave the state whole ---
refused "an absurd rate" "not a finite number" \
    train --out "$work/nan" --learning-rate 1e30 --warmup 0 --clip-norm 0
check "no model" "$([[ -e $work/nan/model/model.safetensors ]]; echo $?)" 1

# Files over 200 KB cannot be written: the state is larger, the vocabulary is not.
check_exit "some updates" 0 train --out "$work/full" --max-updates 14 --quiet
cp "$work/full/state/state.json" "$work/state.json"
(
    ulimit -f 200
    "$program" train --resume --out "$work/full" --quiet --max-updates 60
) >/dev/null 2>"$work/err"
check "no room" $? 1
check_has "no room is said" "$(<"$work/err")" "cannot write"
check_has "what is left is said" "$(<"$work/err")" "update 14 is saved in"
check "the state is the one before" "$(<"$work/full/state/state.json")" "$(<"$work/state.json")"
check_exit "with room it goes on" 0 \
    "$program" train --resume --out "$work/full" --quiet --max-updates 60
check "to the same weights" "$(wc -c <"$work/full/model/model.safetensors")" \
    "$(wc -c <"$work/whole/model/model.safetensors")"
finish
