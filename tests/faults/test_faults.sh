#!/usr/bin/env bash
# Disks that are full, that fail, and that lose power: each call that writes a checkpoint, in turn.
# KASKAD_CUTS=N sets how many moments of a training run lose power (3).
# shellcheck source=tests/cli/lib.sh
source "$(dirname "$0")/../cli/lib.sh"
if sanitized || [[ ! -f ${KASKAD_FAULTS:-} ]]; then
    echo "nothing can be loaded before this program"
    exit 0
fi
root=$(dirname "$0")/../..
tiny=$root/tests/fixtures/marian/tiny
out=$work/out.d

# faulty KIND:N HOW COMMAND...: the command with that fault under $work; its status goes to $status.
faulty() {
    status=0
    {
        LD_PRELOAD=$KASKAD_FAULTS KASKAD_FAULT_UNDER=$work KASKAD_FAULT=$1 KASKAD_FAULT_HOW=$2 \
            "${@:3}" >"$work/out" 2>"$work/err" || status=$?
    } 2>/dev/null # the shell's word on who was killed
}
convert() { "$program" convert -m "$tiny" --dtype "$1" --out "$2"; }
converting() { faulty "$1" "$2" "$program" convert -m "$tiny" --dtype bf16 --out "$3"; }

# --- what is written is synced before it gets its name, and then its directory is ---
check_exit "a converted checkpoint" 0 convert bf16 "$work/new"
LD_PRELOAD=$KASKAD_FAULTS KASKAD_FAULT_UNDER=$work KASKAD_FAULT_LOG=$work/log convert bf16 "$out" >"$work/out"
check "renamed before it was synced, or the directory not after it" "$(awk -v d="$out" '
    $1 == "write" { dirty[$2] = 1 }
    $1 == "fsync" { delete dirty[$2]; if ($2 == d) renamed = "" }
    $1 == "rename" { if ($2 in dirty || renamed != "") print; renamed = $3 }
    END { for (path in dirty) print path; if (renamed != "") print renamed }' "$work/log")" ""
calls=$(wc -l <"$work/log")
[[ $(grep -c '^rename' "$work/log") -ge 6 ]]
check "every file is renamed into its place" $? 0
check_exit "the old checkpoint" 0 convert f32 "$work/old"

# Each file is the one before or the one after.
check_whole() { # NAME
    local file
    for file in "$work"/new/*; do
        file=${file##*/}
        cmp -s "$out/$file" "$work/old/$file" || cmp -s "$out/$file" "$work/new/$file" ||
            check "$1: $file" "neither old nor new" ""
    done
}
aside() { find "$out" -name '*.tmp-*' | wc -l; }

# --- every call fails once ---
for fault in write:28 fsync:5 rename:13 write:short; do
    kind=${fault%:*}
    for ((n = 1; n <= calls + 1; n++)); do
        rm -rf "$out"
        cp -r "$work/old" "$out"
        converting "$kind:$n" "${fault#*:}" "$out"
        [[ $status -ne 0 ]] || break
        check "$fault, call $n" "$status" 1
        check_has "$fault, call $n" "$(<"$work/err")" "kaskad: cannot "
        check "$fault, call $n: files left aside" "$(aside)" 0
        check_whole "$fault, call $n"
    done
    [[ $n -gt 5 && $n -le $calls ]]
    check "$fault: as many calls as there are ($n)" $? 0
    check "$fault: the last try is whole" "$(diff -r "$out" "$work/new")" ""
done

# --- the power is cut at every call ---
for ((n = 1; n <= calls + 1; n++)); do
    rm -rf "$out"
    cp -r "$work/old" "$out"
    converting "any:$n" cut "$out"
    [[ $status -ne 0 ]] || break
    check "power cut at call $n" "$status" 137
    check_whole "power cut at call $n"
done
check "power cuts" "$n" "$((calls + 1))"
check_exit "what is left can be written again" 0 convert bf16 "$out"
check_exit "and proves itself" 0 "$program" verify -m "$out"

# --- the power is cut in training ---
recipe=(train "$root/recipes/smoke.yaml" --quiet --max-pairs 80 --max-dev-pairs 5 --vocabulary 350
    --d-model 16 --ffn 24 --batch-tokens 300 --max-updates 12 --eval-every 6 --save-every 3
    --log-every 2 --warmup 3 --threads 1)
LD_PRELOAD=$KASKAD_FAULTS KASKAD_FAULT_UNDER=$work/whole KASKAD_FAULT_LOG=$work/train \
    "$program" "${recipe[@]}" --out "$work/whole" >"$work/out"
check "a run" $? 0
weights() { sha256sum <"$1/model/model.safetensors"; }
calls=$(wc -l <"$work/train")
cuts=${KASKAD_CUTS:-3}
for ((i = 1; i <= cuts; i++)); do
    run=$work/cut$i
    n=$((calls * i / (cuts + 1) + 1))
    faulty "any:$n" cut "$program" "${recipe[@]}" --out "$run"
    check "power cut at call $n of training" "$status" 137
    check_exit "it goes on after call $n" 0 "$program" "${recipe[@]}" --out "$run" --resume
    check "to the same weights after call $n" "$(weights "$run")" "$(weights "$work/whole")"
    rm -rf "$run"
done

# --- a directory that cannot be written to, and files that go away ---
if [[ $(id -u) -ne 0 ]]; then
    mkdir "$work/locked"
    chmod a-w "$work/locked"
    check_exit "a read-only directory" 1 convert bf16 "$work/locked/model"
    check_has "is named" "$(<"$work/err")" "Permission denied"
fi
cp -r "$tiny" "$work/gone"
rm "$work/gone/model.safetensors"
check_exit "weights that are gone" 1 "$program" translate -m "$work/gone"
check_has "are named" "$(<"$work/err")" "cannot open"
finish
