#!/usr/bin/env bash
# `kaskad metric` prints what sacreBLEU 2.6.0 prints (values from its command line and library).
# shellcheck source=tests/cli/lib.sh
source "$(dirname "$0")/lib.sh"

cat >"$work/hyp" <<'END'
A man in a green hard hat and yellow safety vest frowns.
A brown dog with a brown collar digs sand.
Eine Frau reitet auf einem Schimmel.
END
cat >"$work/ref" <<'END'
A man in a green hard hat and yellow vest is looking down.
A brown dog with a brown collar digging in the sand
Eine Frau reitet auf ihren Schimmel.
END
metric() { "$program" metric "$@" <"$work/hyp"; }
signature="nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0"

check "BLEU" "$(metric bleu -r "$work/ref")" "BLEU|$signature = 60.05 83.3/66.7/58.3/52.4 (BP = 0.936 ratio = 0.938 hyp_len = 30 ref_len = 32)"
check "chrF" "$(metric chrf -r "$work/ref" -w 4)" \
    "chrF2|nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:2.6.0 = 70.4984"
check "chrF++" "$(metric chrf --word-order 2 -r "$work/ref" -w 4)" \
    "chrF2++|nrefs:1|case:mixed|eff:yes|nc:6|nw:2|space:no|version:2.6.0 = 70.6303"
check "sentences" "$(metric bleu --sentence -w 4 -r "$work/ref")" "63.0807
59.7765
48.8923"
check "two references" "$(metric bleu -w 4 -r "$work/hyp" "$work/ref" | cut -d= -f2 | cut -c1-9)" \
    " 100.0000"
check "the same given twice" "$(metric bleu -r "$work/hyp" -r "$work/ref" --tokenize none)" \
    "$(metric bleu --tokenize none -r "$work/hyp" "$work/ref")"
check_has "options in the signature" \
    "$(metric bleu --lowercase --tokenize none --smooth floor -r "$work/ref")" \
    "nrefs:1|case:lc|eff:no|tok:none|smooth:floor[0.10]|version:2.6.0"
check "JSON" "$(metric bleu --json -r "$work/ref" | cut -d, -f1-3)" \
    "{\"name\": \"BLEU\", \"score\": 60.05, \"signature\": \"$signature\""
check "carriage returns do not count" "$(sed 's/$/\r/' "$work/hyp" | "$program" metric bleu -r "$work/ref")" \
    "$(metric bleu -r "$work/ref")"

# --- a comparison ---
tail -n 1 "$work/hyp" | cat <(head -n 2 "$work/ref") - >"$work/base"
compared=$(metric bleu -r "$work/ref" --baseline "$work/base" --seed 3)
check "comparison: scores" "$(cut -d'(' -f1 <<<"$compared" | sed -n '3,5p')" "system   = 60.05 
baseline = $(<"$work/base" "$program" metric bleu -r "$work/ref" | grep -oE '= [0-9.]+' | cut -c3-7 | head -n 1) 
system - baseline = $(awk '/^system  /{s=$3} /^baseline/{b=$3} END{printf "%+.2f", s-b}' <<<"$compared") "
check "comparison: the same again" "$(metric bleu -r "$work/ref" --baseline "$work/base" --seed 3)" "$compared"
check_has "comparison: how" "$compared" "paired bootstrap, 1000 resamples, seed 3"
check_has "comparison: JSON" "$(metric chrf -r "$work/ref" --baseline "$work/base" --resamples 50 --json)" \
    '"resamples": 50, "system": {"score": 70.498'
check_exit "comparison by line" 2 metric bleu -r "$work/ref" --baseline "$work/base" --sentence

head -n 2 "$work/ref" >"$work/short"
check_exit "short baseline" 1 metric bleu -r "$work/ref" --baseline "$work/short"
check_exit "too few lines" 1 metric bleu -r "$work/short"
check_has "too few lines named" "$(<"$work/err")" "$work/short has 2 lines, but the standard input has 3"
check_exit "no reference file" 1 metric bleu -r "$work/none"
check_exit "no reference option" 2 metric bleu
check_exit "no metric" 2 metric -r "$work/ref"
check_exit "another metric" 2 metric ter -r "$work/ref"
check_exit "empty input" 1 "$program" metric bleu -r "$work/ref" </dev/null
finish
