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

model=$root/models/tatoeba-deu-eng
for example in translate threads; do
    # shellcheck disable=SC2086
    check_exit "compile $example" 0 cc -std=c17 -Wall -Wextra -Wpedantic -Werror \
        -o "$work/$example" "$root/examples/$example.c" $flags -lpthread
    check_exit "$example without a model" 1 \
        env LD_LIBRARY_PATH="$libraries" "$work/$example" "$work/none"
    check_has "said" "$(<"$work/err")" "$work/none"
done
lines=$(printf '%s\n' "Kannst du mir bitte helfen?" "Der Zug kam zu spät." "Selbst Kinder wissen das.")
alone=$("$program" translate -m "$model" -t 1 <<<"$lines")
check_exit "translate" 0 env LD_LIBRARY_PATH="$libraries" "$work/translate" "$model" <<<"$lines"
check "as the program does" "$(<"$work/out")" "$alone"
check_exit "threads" 0 env LD_LIBRARY_PATH="$libraries" "$work/threads" "$model"
expected=$(for i in {0..7}; do while read -r line; do printf '%s\t%s\n' "$i" "$line"; done <<<"$alone"; done)
check "eight threads on one model" "$(<"$work/out")" "$expected"
shown=$(sed -n '/^<!-- translate.c -->$/,/^```$/p' "$root/docs/plugins.md" | sed '1,2d;$d')
check "docs/plugins.md shows examples/translate.c" "$shown" "$(<"$root/examples/translate.c")"
finish
