#!/usr/bin/env bash
# Whether programs and libraries were built with what cmake/harden.cmake asks for: `./dev lint`.
#
#     tests/hardened.sh FILE...
set -euo pipefail
wrong=0
expect() { # FILE WHAT PATTERN TEXT
    grep -qE -- "$3" <<<"$4" && return
    echo "$1: $2 is missing"
    wrong=1
}
for file in "$@"; do
    headers=$(readelf -hlW "$file") dynamic=$(readelf -dW "$file") symbols=$(readelf -W --dyn-syms "$file")
    expect "$file" "position-independent code" 'Type: +DYN' "$headers"
    expect "$file" "read-only relocations" 'GNU_RELRO' "$headers"
    expect "$file" "a stack that is not executable" 'GNU_STACK.* RW ' "$headers"
    expect "$file" "binding at the start" 'FLAGS.*NOW' "$dynamic"
    expect "$file" "the stack protector" '__stack_chk_fail' "$symbols"
    expect "$file" "checked string functions" '__[a-z]+_chk' "$symbols"
    if [[ $dynamic == *RPATH* ]]; then
        echo "$file: a path to search libraries in"
        wrong=1
    fi
done
exit $wrong
