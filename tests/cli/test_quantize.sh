#!/usr/bin/env bash
# `kaskad quantize` on the model that ships: half the size, the same translations as quantising it
# while it is loaded.
# shellcheck source=tests/cli/lib.sh
source "$(dirname "$0")/lib.sh"
model=$(dirname "$0")/../../models/tatoeba-deu-eng
printf 'Guten Morgen!\nIch habe Hunger.\nWo ist der Bahnhof?\n' >"$work/de"
translate() { "$program" translate -m "$1" --beam 5 --scores "${@:2}" <"$work/de"; }
bytes() { wc -c <"$1/model.safetensors"; }

for precision in int8 bf16; do
    check_exit "$precision" 0 "$program" quantize -m "$model" -o "$work/$precision" \
        --precision $precision
    check_has "says what it did" "$(<"$work/out")" \
        "written in $precision; 3 texts give the recorded token ids and logits"
    check "$precision: the same translations" "$(translate "$work/$precision")" \
        "$(translate "$model" --precision $precision)"
    check "$precision: and on other kernels" \
        "$(KASKAD_ISA=scalar translate "$work/$precision")" \
        "$(KASKAD_ISA=scalar translate "$model" --precision $precision)"
    check_exit "verify $precision" 0 "$program" verify -m "$work/$precision"
    check_exit "verify $precision on other kernels" 0 \
        env KASKAD_ISA=scalar "$program" verify -m "$work/$precision"
done
check "half the size" $((100 * $(bytes "$work/int8") / $(bytes "$model") / 10)) 5
check_exit "int8 by itself" 0 "$program" quantize -m "$model" -o "$work/plain"
cmp -s "$work/plain/model.safetensors" "$work/int8/model.safetensors"
check "the same bytes" $? 0
for file in source.spm target.spm vocab.json tokenizer_config.json; do
    cmp -s "$model/$file" "$work/int8/$file"
    check "the same $file" $? 0
done

check_exit "inspect" 0 "$program" inspect "$work/int8"
check_has "it is said to be quantised" "$(<"$work/out")" "quantised: int8, in panels of"
check_exit "score" 0 "$program" score -m "$work/int8" --source "$work/de" --target "$work/de"
sed -i '0,/12\./s//13./' "$work/plain/kaskad.json"
check_exit "a wrong proof" 1 "$program" verify -m "$work/plain"

check_exit "more than there is" 1 "$program" translate -m "$work/int8" --precision f32 <"$work/de"
check_has "is said" "$(<"$work/err")" "is quantised to int8 and cannot compute in f32"
check_exit "converted" 1 "$program" convert -m "$work/int8" -o "$work/some" --dtype f32
check_has "cannot be" "$(<"$work/err")" "use the checkpoint that it was made from"
check "nothing written" "$([[ -e $work/some ]] && echo there)" ""
check_exit "nowhere" 1 "$program" quantize -m "$model" -o /dev/null/there
check_exit "no such precision" 2 "$program" quantize -m "$model" -o "$work/some" --precision int4
finish
