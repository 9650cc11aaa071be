#!/usr/bin/env bash
# Training and writing checkpoints, killed at N random moments each: `./dev kills N`.
#
#     tests/kills.sh PROGRAM N
#
# A run is killed a few times and resumed each time; it must end with the weights of a run that nobody killed. A
# checkpoint that is written over another must be made of whole files, and can be written again.
# shellcheck source=tests/cli/lib.sh
source "$(dirname "$0")/cli/lib.sh"
wanted=${2:-100}
[[ $wanted =~ ^[1-9][0-9]*$ ]] || { echo "kills: '$wanted' is not a number" >&2; exit 2; }
root=$(dirname "$0")/..
RANDOM=${KASKAD_TEST_SEED:-11}
recipe=(train "$root/recipes/smoke.yaml" --quiet --max-pairs 150 --max-dev-pairs 10 --vocabulary 350
    --d-model 24 --ffn 40 --batch-tokens 400 --max-updates 40 --eval-every 10 --save-every 4
    --log-every 3 --warmup 8)
weights() { sha256sum <"$1/model/model.safetensors"; }
milliseconds() { date +%s%3N; }

# kill_within MILLISECONDS COMMAND...: kills it at a random moment of that time; true if it was there to be killed.
kill_within() {
    local after=$((RANDOM * ${1} / 32768)) pid status=0
    "${@:2}" >"$work/out" 2>"$work/err" &
    pid=$!
    sleep "$((after / 1000)).$(printf '%03d' $((after % 1000)))"
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null || status=$?
    [[ $status -eq 137 ]]
}

began=$(milliseconds)
check_exit "a run that nobody kills" 0 "$program" "${recipe[@]}" --out "$work/whole"
span=$(($(milliseconds) - began))
expected=$(weights "$work/whole")
kills=0
runs=0
while [[ $kills -lt $wanted && $mistakes -eq 0 ]]; do
    run=$work/run$runs
    for _ in 1 2 3 4; do
        if kill_within "$span" "$program" "${recipe[@]}" --out "$run" --resume; then
            kills=$((kills + 1))
        else
            check "a run that was not killed ($(<"$work/err"))" "$([[ -e $run/model/kaskad.json ]]; echo $?)" 0
            break
        fi
        [[ $kills -lt $wanted ]] || break
    done
    check_exit "a run goes on after $kills kills" 0 "$program" "${recipe[@]}" --out "$run" --resume
    check "the same weights after $kills kills" "$(weights "$run")" "$expected"
    check_exit "that prove themselves" 0 "$program" verify -m "$run/model"
    rm -rf "$run"
    runs=$((runs + 1))
done
echo "training: $kills kills in $runs runs, $mistakes mistakes"

model=$root/models/tatoeba-deu-eng
convert() { "$program" convert -m "$model" --dtype "$1" --out "$2"; }
check_exit "the old checkpoint" 0 convert f32 "$work/old"
began=$(milliseconds)
check_exit "the new one" 0 convert bf16 "$work/new"
span=$(($(milliseconds) - began))
for ((kills = 0, tries = 0; kills < wanted && tries < 5 * wanted && mistakes == 0; tries++)); do
    rm -rf "$work/over"
    cp -r "$work/old" "$work/over"
    kill_within "$span" "$program" convert -m "$model" --dtype bf16 --out "$work/over" && kills=$((kills + 1))
    for file in "$work"/new/*; do
        file=${file##*/}
        cmp -s "$work/over/$file" "$work/old/$file" || cmp -s "$work/over/$file" "$work/new/$file" ||
            check "$file after $kills kills" "neither old nor new" ""
    done
done
check_exit "what is left can be written again" 0 convert bf16 "$work/over"
check_exit "and proves itself" 0 "$program" verify -m "$work/over"
echo "checkpoints: $kills kills, $mistakes mistakes"
finish
