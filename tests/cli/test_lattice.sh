#!/usr/bin/env bash
# `kaskad lattice`: what the page says agrees with translate's output; it works in a browser, where
# there is one.
# shellcheck source=tests/cli/lib.sh
source "$(dirname "$0")/lib.sh"
root=$(dirname "$0")/../..
model=$work/markov
cp -r "$root/tests/fixtures/marian/tiny" "$model"
length='"length_a": 1.1, "length_b": 2'
sed -i "s/\"model_type\": *\"marian\"/\"model_type\": \"kaskad-markov\", \"markov_order\": 3, $length/" \
    "$model/config.json"
sentence='Tom & Mary <sind> da.'
# shellcheck disable=SC2317 # called through check_exit
lattice() { "$program" lattice -m "$model" --topk 5 --delta 2 --pruned 3 "$@"; }
page=$work/page.html

# --- a page ---
check_exit "a page" 0 lattice "$sentence" --out "$page"
check "in silence" "$(cat "$work/out" "$work/err")" ""
json=$("$program" translate -m "$model" --topk 5 --delta 2 --json <<<"$sentence")
score=$(sed 's/.*"score": \(-\?[0-9.]*\).*/\1/' <<<"$json" | xargs printf '%.3f')
check_has "the score of translate" "$(<"$page")" "<dd>$score, its log-probability"
check_has "the source, escaped" "$(<"$page")" "<dd>Tom &amp; Mary &lt;sind&gt; da.</dd>"
check "all rounds" "$(grep -c '<h2 id="round-[0-3]">' "$page")" 4
check "nothing from elsewhere" "$(grep -ciE '(src|href)="[^#]|https?:|@import|url\(' "$page")" 0

# The chosen candidates of each round, put together, are the output.
tokens=$(sed 's/.*"ids": \[\([0-9, ]*\)\].*/\1/; s/,//g' <<<"${json#*source_ids*\]}")
for round in 0 1 2 3; do
    chosen=$(sed -n "/id=\"round-$round\"/,/<\/section>/p" "$page" |
        sed -n 's/.*class="yes".*data-t="\([-0-9]*\)[ "].*/\1/p' | grep -v -- -1 | tr '\n' ' ')
    check_has "the path of round $round" "$tokens " "${chosen% }"
    [[ $(wc -w <<<"$chosen") -ge $(($(wc -w <<<"$tokens") - round)) ]]
    check "is whole in round $round" $? 0
done
check "pruned ones" "$(grep -q 'class="no"' "$page"; echo $?)" 0
check "at most so many" "$(sed -n '/id="round-0"/,/<\/section>/p' "$page" |
    sed -n '/>position 1</,/<\/ol>/p' | grep -c '<button')" 8
check_exit "to the standard output" 0 lattice "$sentence" --out -
check "the same page" "$(<"$work/out")" "$(<"$page")"
check_exit "two rounds" 0 lattice "$sentence" --out "$work/two.html" --rounds 2
check "are two" "$(grep -c '<h2 id="round-' "$work/two.html")" 2

# --- numbers ---
check_exit "numbers" 0 lattice --json <<<"$sentence"$'\nJa.'
check "a line each" "$(wc -l <"$work/out")" 2
check_has "of the same output" "$(<"$work/out")" "$(sed 's/.*"text": \("[^"]*"\).*/"text": \1, "tokens": /' \
    <<<"${json#*source_ids}")"
check_has "the first round's rows are positions" "$(<"$work/out")" \
    "$(sed -n '1s/.*"hi": \([0-9]*\).*/"hi": \1, "rounds": [{"rows": \1, /p' "$work/out")"
rows() { grep -o '"rows": [0-9]*' "$1" | awk '{ sum += $2 } END { print sum }'; }
cp "$work/out" "$work/all"
check_exit "with everything pruned early" 0 lattice --json --keep 2 --threshold 3 <<<"$sentence"$'\nJa.'
[[ $(rows "$work/out") -lt $(rows "$work/all") ]]
check "fewer rows ($(rows "$work/out") of $(rows "$work/all"))" $? 0
check "and translate's output" "$(sed 's/.*"text": \("[^"]*"\), "tokens.*/\1/' "$work/out")" \
    "$("$program" translate -m "$model" --topk 5 --delta 2 --keep 2 --threshold 3 --json \
        <<<"$sentence"$'\nJa.' | sed 's/.*"text": \("[^"]*"\), "ids.*/\1/')"
check_exit "of one sentence" 0 lattice "$sentence" --json
check_exit "a page and numbers" 2 lattice "$sentence" --json --out "$work/x.html"

# --- refused ---
refused() { # NAME MESSAGE COMMAND...
    check_exit "$1" 1 "${@:3}"
    check_has "$1" "$(<"$work/err")" "$2"
}
refused "no Markov model" "needs a Markov Transformer" \
    "$program" lattice -m "$root/tests/fixtures/marian/tiny" "$sentence" --out "$work/x.html"
refused "too many rounds" "the model's order 3 allows 4" lattice "$sentence" --rounds 5 --out "$work/x.html"
refused "one round" "rounds is 1; the cascade needs 2" lattice "$sentence" --rounds 1 --out "$work/x.html"
refused "an empty sentence" "the sentence is empty" lattice " " --out "$work/x.html"
refused "no such directory" "cannot write" lattice "$sentence" --out "$work/none/x.html"
check "nothing is left of them" "$(cd "$work" && ls x.html* 2>/dev/null)" ""
check_exit "no sentence" 2 lattice --out "$work/x.html"
check_exit "two sentences" 2 lattice "a" "b" --out "$work/x.html"
check_exit "K = 0" 2 lattice "$sentence" --topk 0 --out "$work/x.html"

# --- in a browser ---
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
if [[ -z $browser ]]; then
    echo "skipped: no Chromium to open the page with"
    finish
fi
{
    cat "$page"
    cat <<'END'
<script>
const found = [];
const press = key => document.activeElement.dispatchEvent(
    new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
document.querySelectorAll('section')[1].querySelector('button').focus();
found.push(say.textContent.startsWith('position 1: '));
press('ArrowRight');
found.push(say.textContent.startsWith('position 2: '));
press('ArrowDown');
const row = [...document.activeElement.closest('ol').querySelectorAll('button')];
found.push(row.indexOf(document.activeElement) === 1);
press('ArrowUp');
press('ArrowLeft');
found.push(say.textContent.startsWith('position 1: '));
found.push(document.querySelectorAll('.near').length > 0);
found.push(document.documentElement.scrollWidth <= window.innerWidth);
found.push(performance.getEntriesByType('resource').length === 0);
document.title = 'found ' + found.join(' ');
</script>
END
} >"$work/test.html"
dom=$(timeout 120 "$browser" --headless=new --no-sandbox --disable-gpu --window-size=500,800 \
    --user-data-dir="$work/browser" --dump-dom "file://$work/test.html" 2>/dev/null)
if [[ -z $dom ]]; then
    echo "skipped: $browser does not start here"
    finish
fi
check_has "it works in a browser" "$dom" "<title>found true true true true true true true</title>"
finish
