#!/usr/bin/env bash
# `kaskad convert` on the model that ships: what it writes translates as what it read.
# shellcheck source=tests/cli/lib.sh
source "$(dirname "$0")/lib.sh"
model=$(dirname "$0")/../../models/tatoeba-deu-eng
printf 'Guten Morgen!\nIch habe Hunger.\nWo ist der Bahnhof?\n' >"$work/de"
translate() { "$program" translate -m "$1" --beam 5 --scores <"$work/de"; }
convert() { check_exit "$1" 0 "$program" convert -m "$2" -o "$work/$1" "${@:3}"; }
bytes() { wc -c <"$work/$1/model.safetensors"; }

translate "$model" >"$work/en"
convert same "$model"
check_has "says what it did" "$(<"$work/out")" \
    "3 texts give the recorded token ids and logits"
check "the same translations" "$(translate "$work/same")" "$(<"$work/en")"
for file in source.spm target.spm; do
    cmp -s "$model/$file" "$work/same/$file"
    check "the same $file" $? 0
done

# bf16 to f32 loses nothing, and back again neither.
convert wide "$model" --dtype f32
check "as the narrow one translates" "$(translate "$work/wide")" "$(<"$work/en")"
check_has "config.json says so" "$(<"$work/wide/config.json")" '"torch_dtype": "float32"'
check "about twice the size" $(($(bytes wide) / 1000000)) $((2 * $(bytes same) / 1000000))
check_exit "inspect" 0 "$program" inspect "$work/wide"
check_has "the weights are f32" "$(<"$work/out")" "F32"
convert narrow "$work/wide" --dtype bf16
cmp -s "$work/narrow/model.safetensors" "$work/same/model.safetensors"
check "there and back" $? 0

# The proof is of what was written; a wrong one is found.
check_exit "verify" 0 "$program" verify -m "$work/wide"
sed -i -E '0,/[0-9]+\.[0-9]{5,}/s//99.5/' "$work/wide/kaskad.json" # the first logit
check_exit "a wrong proof" 1 "$program" verify -m "$work/wide"

check_exit "nowhere" 1 "$program" convert -m "$model" -o /dev/null/there
check_exit "no model" 1 "$program" convert -m "$work/none" -o "$work/some"
check "nothing written" "$([[ -e $work/some ]] && echo there)" ""
check_exit "no such type" 2 "$program" convert -m "$model" -o "$work/some" --dtype f8
finish
