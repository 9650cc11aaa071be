#!/usr/bin/env bash
# The examples, and the guide that shows one, against the installed library.
# shellcheck source=tests/cli/lib.sh
source "$(dirname "$0")/lib.sh"
root=$(dirname "$0")/../..
build=$(dirname "$program")

shown=$(sed -n '/^```c$/,/^```$/p' "$root/docs/parallax.md" | sed '1d;$d')
check "docs/parallax.md shows examples/parallax.c" "$shown" "$(<"$root/examples/parallax.c")"
[[ $(wc -l <"$root/examples/parallax.c") -lt 40 ]]
check "it has fewer than 40 lines" $? 0
if sanitized; then
    finish
fi
check_exit "install" 0 cmake --install "$build" --prefix "$work/usr"
pc=$(dirname "$(find "$work/usr" -name kaskad.pc)")
sed -i "s|^prefix=.*|prefix=$work/usr|" "$pc/kaskad.pc"
flags=$(PKG_CONFIG_PATH=$pc pkg-config --cflags --libs kaskad)
libraries=$(dirname "$(find "$work/usr" -name libkaskad.so)")
# shellcheck disable=SC2086 # flags are several words
check_exit "compile" 0 cc -std=c17 -Wall -Werror -o "$work/parallax" \
    "$root/examples/parallax.c" $flags
check_exit "run" 0 env LD_LIBRARY_PATH="$libraries" "$work/parallax"
expected=$(sed -n '/^It prints$/,$p' "$root/docs/parallax.md" | sed -n '/^```$/,/^```$/p' | sed '1d;$d')
check "it prints what the guide says" "$(<"$work/out")" "$expected"
finish
