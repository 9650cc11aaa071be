#!/usr/bin/env bash
# The examples, and the guides that show them, against the installed library.
# shellcheck source=tests/cli/lib.sh
source "$(dirname "$0")/lib.sh"
root=$(cd "$(dirname "$0")/../.." && pwd)
build=$(dirname "$program")
model=$root/models/tatoeba-deu-eng

# --- what the guides show is what is there ---
# shown FILE NAME: the code block behind <!-- NAME -->.
shown() { sed -n "/^<!-- $2 -->\$/,/^\`\`\`\$/p" "$root/docs/$1" | sed '1,2d;$d'; }
examples=(parallax translate stream threads finetune inject)
check "examples" "$(cd "$root/examples" && printf '%s\n' *.c)" \
    "$(printf '%s.c\n' "${examples[@]}" | sort)"
first=$(sed -n '/^```c$/,/^```$/p' "$root/docs/parallax.md" | sed '1d;$d')
check "docs/parallax.md shows examples/parallax.c" "$first" "$(<"$root/examples/parallax.c")"
[[ $(wc -l <"$root/examples/parallax.c") -lt 40 ]]
check "it has fewer than 40 lines" $? 0
check "docs/plugins.md shows examples/translate.c" "$(shown plugins.md translate.c)" \
    "$(<"$root/examples/translate.c")"
for name in translate stream threads finetune inject; do
    check "docs/embed.md shows examples/$name.c" "$(shown embed.md "$name.c")" \
        "$(<"$root/examples/$name.c")"
done
if sanitized; then
    finish
fi

# --- built from installed files, from a place that knows nothing of the tree ---
check_exit "install" 0 cmake --install "$build" --prefix "$work/usr"
pc=$(dirname "$(find "$work/usr" -name kaskad.pc)")
flags=$(PKG_CONFIG_PATH=$pc pkg-config --cflags --libs kaskad)
LD_LIBRARY_PATH=$(dirname "$(find "$work/usr" -name libkaskad.so)")
export LD_LIBRARY_PATH
installed=$(find "$work/usr" -type d -name examples)
mkdir "$work/bin"
cd "$work/bin" || exit 1
for name in "${examples[@]}"; do
    # shellcheck disable=SC2086 # flags are several words
    check_exit "compile $name" 0 cc -std=c17 -Wall -Wextra -Wpedantic -Wno-unused-parameter -Werror \
        -o "$name" "$installed/$name.c" $flags -lpthread
done

check_exit "parallax" 0 ./parallax
expected=$(sed -n '/^It prints$/,$p' "$root/docs/parallax.md" | sed -n '/^```$/,/^```$/p' | sed '1d;$d')
check "it prints what the guide says" "$(<"$work/out")" "$expected"
for name in translate threads stream inject; do
    check_exit "$name without a model" 1 "./$name" "$work/none"
    check_has "said" "$(<"$work/err")" "$work/none"
done

lines=$(printf '%s\n' "Kannst du mir bitte helfen?" "Der Zug kam zu spät." "Selbst Kinder wissen das.")
alone=$("$program" translate -m "$model" -t 1 <<<"$lines")
check_exit "translate" 0 ./translate "$model" <<<"$lines"
check "as the program does" "$(<"$work/out")" "$alone"
check_exit "threads" 0 ./threads "$model"
expected=$(for i in {0..7}; do while read -r line; do printf '%s\t%s\n' "$i" "$line"; done <<<"$alone"; done)
check "eight threads on one model" "$(<"$work/out")" "$expected"
check_exit "stream" 0 ./stream "$model" <<<"$lines"
check "a stream is the greedy translation" "$(sed 's/^ //' "$work/out")" \
    "$("$program" translate -m "$model" --decode greedy <<<"$lines")"
check_exit "inject" 0 ./inject "$model"
check_has "the sink" "$(<"$work/err")" "note: $model: marian, "
check "the same seed, the same sample" "$(sed -n 1p "$work/out")" "$(sed -n 3p "$work/out")"
check "another seed, another" "$(head -n 2 "$work/out" | sort -u | wc -l)" 2
check "all memory came back" "$(sed -n 4p "$work/out")" "0 allocations left"

yes "$(printf 'Der Zug kam zu spät.\tThe train was tardy.')" | head -n 16 >pairs.tsv
check_exit "finetune" 0 ./finetune "$installed/finetune.yaml" "$model" pairs.tsv run "Der Zug kam zu spät."
check "it has learned" "$(<"$work/out")" "$(sed -n 2p <<<"$alone"; echo "The train was tardy.")"
check_has "and said so" "$(<"$work/err")" "update 30: dev loss "
check_exit "a run is not overwritten" 1 \
    ./finetune "$installed/finetune.yaml" "$model" pairs.tsv run "Ja."
finish
