#!/usr/bin/env bash
# `bench/cascade-sweep` on a model of a few thousand weights: its tables, plots and choice.
# shellcheck source=tests/cli/lib.sh
source "$(dirname "$0")/lib.sh"
root=$(dirname "$0")/../..
if ! command -v python3 >/dev/null; then
    echo "skipped: no python3 to run bench/cascade-sweep with"
    finish
fi
teacher=$root/tests/fixtures/marian/tiny
cp -r "$teacher" "$work/markov"
length='"length_a": 1, "length_b": 2'
sed -i "s/\"model_type\": *\"marian\"/\"model_type\": \"kaskad-markov\", \"markov_order\": 2, $length/" \
    "$work/markov/config.json"
printf 'Ja.\tYes.\nTom ist da.\tTom is there.\nNein.\tNo.\nDas ist gut.\tThat is good.\n' >"$work/data.tsv"
# shellcheck disable=SC2317 # called through check_exit
sweep() {
    python3 "$root/bench/cascade-sweep" --kaskad "$program" --model "$work/markov" \
        --teacher "$teacher" --precision f32 --threads 1 --beam 2 "$@"
}
check_exit "a sweep" 0 sweep --data "$work/data.tsv" --grid topk=2,4 rounds=2 threshold=none,3 \
    --timed 3 --within 100 --lengths 1 --out "$work/swept"
check "a line for each system" "$(grep -cE '^\| (teacher, (beam 2|greedy)|\**topk [24] rounds 2( threshold 3)?\**) \|' \
    "$work/swept/sweep.md")" 6
check "one is chosen" "$(grep -c '^| \*\*topk ' "$work/swept/sweep.md")" 1
check_has "and named" "$(<"$work/swept/sweep.md")" "Fastest within 100.0 BLEU of teacher, beam 2: topk "
check "rows are counted" "$(grep -c '"rows_per_token": [0-9]' "$work/swept/sweep.json")" 4
python3 - "$work/swept" <<'END'
import json, sys, xml.dom.minidom
for name in ("quality-speed", "lengths"):
    xml.dom.minidom.parse(f"{sys.argv[1]}/{name}.svg")
lengths = json.load(open(f"{sys.argv[1]}/sweep.json"))["lengths"]
assert [round(n) for n, _ in lengths["teacher, greedy"]] == [10, 20, 30, 40, 50], lengths
END
check "the plots are XML, the teacher is held to lengths" $? 0
check_exit "nothing good enough" 0 sweep --data "$work/data.tsv" --grid topk=2 rounds=2 --timed 2 \
    --within -200 --out "$work/none"
check_has "is said" "$(<"$work/none/sweep.md")" "No setting reaches "
check_exit "data without tabs" 1 sweep --data "$teacher/config.json" --out "$work/x"
finish
