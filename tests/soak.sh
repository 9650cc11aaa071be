#!/usr/bin/env bash
# Many lines of every kind through one process: its memory stays flat, and each line's translation is what the line
# gets alone. `./dev soak --lines 200000`.
#
#     tests/soak.sh PROGRAM LINES
# shellcheck source=tests/cli/lib.sh
source "$(dirname "$0")/cli/lib.sh"
lines=${2:-200000}
[[ $lines =~ ^[1-9][0-9]*$ ]] || { echo "soak: '$lines' is not a number" >&2; exit 2; }
root=$(dirname "$0")/..
model=$root/models/tatoeba-deu-eng
options=(-m "$model" --decode greedy --quiet)

# Sentences, most of them; the rest empty, blank, several sentences, long, and bytes of all kinds.
cut -f1 "$root/data/tatoeba-deu-eng/test.tsv" | LC_ALL=C awk -v lines="$lines" '
    function bytes(count, low, high,   i, text) {
        for (i = 0; i < count; i++)
            text = text sprintf("%c", low + int(rand() * (high - low)))
        gsub(/\n/, "", text)
        return text
    }
    function words(count,   i, text) {
        for (i = 0; i < count; i++)
            text = text (i ? " " : "") sentence[int(rand() * NR) + 1]
        return text
    }
    { sentence[NR] = $0 }
    END {
        srand(7)
        for (i = 0; i < lines; i++) {
            kind = rand()
            if (kind < 0.02) print ""
            else if (kind < 0.03) print bytes(20, 9, 14) "  "
            else if (kind < 0.05) print bytes(1 + rand() * 60, 128, 256)
            else if (kind < 0.07) print bytes(1 + rand() * 60, 1, 32) words(1)
            else if (kind < 0.09) print words(1) bytes(1 + rand() * 10, 192, 256) words(1)
            else if (kind < 0.12) print words(2 + rand() * 6)
            else if (kind < 0.1205) print words(100 + rand() * 200)
            else if (kind < 0.121) print bytes(2000 + rand() * 8000, 33, 127)
            else print words(1)
        }
    }' >"$work/in"

resident() { sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$1/status" 2>/dev/null; }
began=$(date +%s)
"$program" translate "${options[@]}" <"$work/in" >"$work/out" 2>"$work/err" &
pid=$!
while kill -0 $pid 2>/dev/null; do
    size=$(stat -c %s "$work/out")
    kilobytes=$(resident $pid)
    [[ -z $kilobytes ]] || echo "$size $kilobytes" >>"$work/memory"
    sleep 0.1
done
wait $pid
check "exit status ($(<"$work/err"))" $? 0
seconds=$(($(date +%s) - began))
check "a line out for each line in" "$(wc -l <"$work/out")" "$lines"

# The most that is resident in the second quarter of the output, and in the last.
read -r early late < <(awk -v size="$(stat -c %s "$work/out")" '
    $1 >= size / 4 && $1 < size / 2 && $2 > early { early = $2 }
    $1 >= 3 * size / 4 && $2 > late { late = $2 }
    END { print early + 0, late + 0 }' "$work/memory")
if [[ $early -gt 0 && $late -gt 0 ]]; then
    [[ $((late * 100)) -le $((early * 105)) ]]
    check "memory grew by more than 5 %: $early kB, then $late kB" $? 0
else
    echo "too few lines to tell how memory goes"
fi

# A sample of the lines, each in a batch of its own; and some in a process of their own.
step=$((lines / 400 + 1))
awk -v step=$step 'NR % step == 0' "$work/in" >"$work/sample"
awk -v step=$step 'NR % step == 0' "$work/out" >"$work/expected"
"$program" translate "${options[@]}" --batch-size 1 --threads 1 <"$work/sample" >"$work/alone"
check "alone" $? 0
check "lines that differ alone" "$(cmp "$work/alone" "$work/expected" 2>&1)" ""
for ((i = 1; i <= 20; i++)); do
    line=$((i * lines / 20))
    check "line $line in a process of its own" \
        "$(sed -n "${line}p" "$work/in" | "$program" translate "${options[@]}" | od -c)" \
        "$(sed -n "${line}p" "$work/out" | od -c)"
done
echo "$lines lines in $seconds s; resident $early kB, then $late kB; $(wc -l <"$work/sample") lines alone"
finish
