#!/usr/bin/env bash
# Help, versions, suggestions, strict options, exit statuses.
# shellcheck source=tests/cli/lib.sh
source "$(dirname "$0")/lib.sh"

check_exit "no command" 2 "$program"
check_has "usage on stderr" "$(<"$work/err")" "usage: kaskad COMMAND"
check "nothing on stdout" "$(<"$work/out")" ""

check_exit "--help" 0 "$program" --help
check_has "help on stdout" "$(<"$work/out")" "usage: kaskad COMMAND"
check_exit "--version" 0 "$program" --version
[[ $(<"$work/out") =~ ^kaskad\ [0-9]+\.[0-9]+\.[0-9]+\ \((scalar|avx2|avx512)\)$ ]]
check "version line" $? 0

for command in translate score metric inspect verify convert train diagnose plugin; do
    check_has "listed" "$("$program" --help)" "  $command "
    check_exit "$command --help" 0 "$program" "$command" --help
    check_has "$command usage" "$(<"$work/out")" "usage: kaskad $command"
    check_has "$command example" "$(<"$work/out")" "Example"
    check "help $command" "$("$program" help $command)" "$(<"$work/out")"
done

check_exit "unknown command" 2 "$program" transalte
check_has "suggestion" "$(<"$work/err")" "there is no command 'transalte'; translate?"
check_exit "unknown command far from all" 2 "$program" zzzzzz
[[ $(<"$work/err") != *"?"* ]]
check "no suggestion" $? 0

check_exit "unknown option" 2 "$program" translate -m x --bema 5
check_has "option suggestion" "$(<"$work/err")" "--beam?"
check_exit "missing option" 2 "$program" translate
check_has "missing option named" "$(<"$work/err")" "--model DIR is needed"
check_exit "missing value" 2 "$program" translate -m
check_has "missing value named" "$(<"$work/err")" "--model needs a value"
check_exit "unexpected argument" 2 "$program" translate -m x y
check_exit "flag with value" 2 "$program" translate -m x --json=yes

for wrong in 5x 1.5 1e3 0 -1 1025 "" 99999999999999999999; do
    check_exit "--beam '$wrong'" 2 "$program" translate -m x --beam "$wrong"
done
for wrong in x nan inf 0x1p3 1.5.2 1.1 -0.5; do
    check_exit "--top-p $wrong" 2 "$program" translate -m x --top-p "$wrong"
done
for wrong in -1 18446744073709551616 1.0 x; do
    check_exit "--seed $wrong" 2 "$program" translate -m x --seed "$wrong"
done
for wrong in "" "1," ",1" "1,,2" x -3 4294967296; do
    check_exit "--prefix-ids '$wrong'" 2 "$program" translate -m x --prefix-ids "$wrong"
done
check_exit "--decode of another kind" 2 "$program" translate -m x --decode gredy
check_has "choices named" "$(<"$work/err")" "greedy, beam, sample, cascade"

check_exit "beams without beam search" 2 "$program" translate -m x --decode greedy --beam 5

check_exit "no such model" 1 "$program" translate -m "$work/none" </dev/null
check_has "the missing model is named" "$(<"$work/err")" "$work/none"
check_exit "no such model to inspect" 1 "$program" inspect "$work/none"
check_exit "no such model to verify" 1 "$program" verify -m "$work/none"
check_exit "inspect needs one" 2 "$program" inspect
check_exit "both standard input" 2 "$program" score -m x --source - --target -
check_exit "full disk" 1 bash -c "'$program' --help >/dev/full"
finish
