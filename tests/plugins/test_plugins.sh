#!/usr/bin/env bash
# Plugins built from installed files alone: the examples, what `plugin new` writes, hostile ones.
# shellcheck source=tests/cli/lib.sh
source "$(dirname "$0")/../cli/lib.sh"
root=$(cd "$(dirname "$0")/../.." && pwd)
model=$root/models/tatoeba-deu-eng
if sanitized; then
    finish
fi
unset KASKAD_USER_DIR CFLAGS
cmake --install "$(dirname "$program")" --prefix "$work/usr" >/dev/null || exit 1
kaskad=$work/usr/bin/kaskad
export CC="${CC:-cc} -Wpedantic -Wshadow -Wstrict-prototypes -Werror"
mkdir "$work/examples" "$work/new" "$work/hostile"
cd "$work/new" || exit 1 # away from the source tree

# --- what `plugin new` writes works as it is ---
kinds='decoder model loss metric processor optimiser operation'
for kind in $kinds; do
    check_exit "new $kind" 0 "$kaskad" plugin new "my_$kind" --kind "$kind"
done
check_exit "new again" 1 "$kaskad" plugin new my_decoder --kind decoder
check_has "what is there stays" "$(<"$work/err")" "my_decoder.c: File exists"
check_exit "a name" 2 "$kaskad" plugin new ../x --kind decoder
check_exit "a kind" 2 "$kaskad" plugin new x --kind theorem
check_exit "no kind" 2 "$kaskad" plugin new x
check_exit "build" 0 "$kaskad" plugin build .
check_has "what was built" "$(<"$work/out")" "./my_decoder.so: plugin my_decoder, decoder my_decoder"
for kind in $kinds; do
    check_exit "test $kind" 0 "./test_my_$kind" "my_$kind.so"
    check "test $kind" "$(<"$work/out")" "my_$kind: all as it should be"
done
[[ $(wc -l <my_decoder.c) -lt 100 ]]
check "a decoder is under 100 lines" $? 0
sed 's/from\[j\] \* from\[j\]/from[j]/' -i my_operation.c
check_exit "build a wrong gradient" 0 "$kaskad" plugin build .
check_exit "the test sees it" 1 ./test_my_operation my_operation.so

# --- the examples ---
cp "$root"/plugins/*.c "$work/examples"
check_exit "build the examples" 0 "$kaskad" plugin build "$work/examples"
check "no warnings" "$(<"$work/err")" ""
list=$("$kaskad" plugin list --user-dir "$work/examples")
[[ $list =~ decoder\ +diverse\ +diverse\ +Vijayakumar\ et\ al\.\ 2016 ]]
check "diverse in the list" $? 0
[[ $list =~ decoder\ +beam\ +kaskad\ +Sutskever ]]
check "the built-in ones too" $? 0
[[ $list =~ operation\ +squared_relu\ +squared_relu ]]
check "squared_relu in the list" $? 0
# The tests that `plugin new` writes, for examples of the same kind; gated.c's operation is not
# registered under a name, so another plugin brings it.
cat >"$work/examples/rms.c" <<'C'
#include <kaskad/extend.h>
#define kaskad_plugin gated_plugin
#include "gated.c"
#undef kaskad_plugin
static const ksk_op *const operations[] = {&rms, NULL};
static const ksk_plugin only_rms = {KSK_EXTEND_VERSION, "rms", .operations = operations};
const ksk_plugin *kaskad_plugin(void) { return &only_rms; }
C
tested='operation:squared_relu operation:rms loss:rdrop optimiser:lion model:gated'
for test in $tested; do
    sed "s/NAME/${test#*:}/g" "$work/usr/share/kaskad/templates/test_${test%:*}.c" \
        >"$work/examples/test_${test#*:}.c"
done
check_exit "build their tests" 0 "$kaskad" plugin build "$work/examples"
for test in $tested; do
    check_exit "test $test" 0 "$work/examples/test_${test#*:}" "$work/examples/${test#*:}.so"
done
rm "$work"/examples/*rms*

# --- lines of code, as the guide counts them ---
code() { # FILE: lines that are neither blank nor comment alone
    sed -e 's:/\*.*\*/::' -e '/\/\*/,/\*\//d' -e '/^[[:space:]]*$/d' "$1" | wc -l
}
for file in "$root"/plugins/*.c; do
    name=$(basename "$file")
    grep -q "\`$name\`.* | $(code "$file") |\$" "$root/docs/plugins.md"
    check "the guide counts $name: $(code "$file")" $? 0
done
[[ $(code "$root/plugins/diverse.c") -lt 100 && $(code "$root/plugins/gated.c") -lt 200 ]]
check "a decoder is under 100 lines, a model under 200" $? 0

cat >"$work/de" <<'DE'
Kannst du mir bitte helfen?
Wie üblich stand ich früh auf.
Der Zug kam zu spät.
DE
translate() { "$kaskad" translate -m "$model" -t 1 --user-dir "$work/examples" "$@" <"$work/de"; }
texts() { cut -f 1,3; }
best=$(translate --beam 4 --early-stopping yes)
check "one group is beam search" "$(translate --beam 4 --decode diverse=1)" "$best"
check "a first group does not know the others" "$(translate --beam 2 --n-best 2 --decode diverse=2,0 |
    texts | sort -u)" "$(translate --decode greedy | nl -w1 -s "$(printf '\t')")"
different() { translate --beam 4 --n-best 4 --decode "diverse=$1" | texts | sort -u | wc -l; }
check "groups without strength repeat each other" "$(different 4,0)" 3
[[ $(different 4,2) -gt 9 ]]
check "with strength they differ" $? 0
check_exit "groups that do not divide" 1 translate --beam 4 --decode diverse=3
check_has "named" "$(<"$work/err")" "the groups (3) must divide the beams (4)"
check_exit "no groups" 1 translate --decode diverse=many
check_exit "an argument for none" 1 translate --decode greedy=3
check_has "named" "$(<"$work/err")" "'greedy' takes no argument"
printf 'Zug\tengine\nhelfen\tassist\nHaus\thouse\n' >"$work/glossary"
check "a glossary" "$(translate --precision f32 --processor "glossary=$work/glossary" --beam 4)" \
    "Can you please assist me?
As usual, I got up early.
The train was late."
check "a stronger one" "$(translate --precision f32 --processor "glossary=14,$work/glossary" --beam 4)" \
    "assist me, please?
As usual, I got up early.
The train was late engine."
check_exit "no glossary" 1 translate --processor "glossary=$work/none"
check_has "named" "$(<"$work/err")" "$work/none: No such file"
check_exit "no such processor" 1 translate --processor glosary=x
export KASKAD_USER_DIR=$work/new
check "from the environment, equal to the built-in" \
    "$("$kaskad" translate -m "$model" --decode my_decoder <"$work/de")" \
    "$(translate --decode greedy)"
check_exit "--user-dir comes before it" 2 translate --decode my_decoder
unset KASKAD_USER_DIR
check_exit "a folder that is not there" 1 "$kaskad" plugin list --user-dir "$work/nowhere"

# --- a metric of one's own, also by bootstrap ---
metric() { printf 'a b c d\ne f\n' | "$kaskad" metric --user-dir "$work/examples" "$@"; }
printf 'a b x d\ne  f\n' >"$work/ref"
printf 'e\nf\n' >"$work/other"
check "word error rate" "$(metric wer -r "$work/ref")" "wer|nrefs:1|kaskad:0.1.0 = 16.67"
check "of a line" "$(metric wer -s -r "$work/ref")" "25.00
0.00"
check "the nearer of two references" "$(metric wer -r "$work/other" "$work/ref")" \
    "wer|nrefs:2|kaskad:0.1.0 = 16.67"
check_has "against a baseline" "$(metric wer -r "$work/ref" --baseline "$work/other")" \
    "system - baseline = -66.67"
check_exit "no such metric" 2 metric ter -r "$work/ref"

# --- the gated Transformer trains, resumes, is checked, quantised and decoded as a built-in one ---
tiny=(--max-pairs 300 --max-dev-pairs 10 --vocabulary 350 --d-model 32 --ffn 48 --batch-tokens 500
    --max-updates 24 --eval-every 12 --save-every 7 --warmup 10 --threads 1 --quiet
    --user-dir "$work/examples" --model gated --model-options "note=x,depth=1.5")
# shellcheck disable=SC2317 # called through check_exit
train() { "$kaskad" train "$root/recipes/smoke.yaml" "${tiny[@]}" "$@"; }
check_exit "it trains" 0 train --out "$work/gated" --loss rdrop=2 --optimiser lion
check_has "its config" "$(tr -d ' \n' <"$work/gated/model/config.json")" \
    '"model_type":"gated","d_model":32,'
check_has "its own settings" "$(tr -d ' \n' <"$work/gated/model/config.json")" \
    '"note":"x","depth":1.5}'
check_exit "a part of it" 0 train --out "$work/parts" --loss rdrop=2 --optimiser lion --max-updates 9
check_exit "another optimiser" 1 train --out "$work/parts" --loss rdrop=2 --resume
check_has "named" "$(<"$work/err")" 'begun with optimiser "lion", not "adam"'
check_exit "the rest" 0 train --out "$work/parts" --loss rdrop=2 --optimiser lion --resume
weights() { sha256sum <"$1/model/model.safetensors"; }
check "the same weights" "$(weights "$work/parts")" "$(weights "$work/gated")"
check_exit "it proves itself" 0 "$kaskad" verify -m "$work/gated/model" --user-dir "$work/examples"
for how in "--beam 3" "--decode sample" "--precision int8" "--decode diverse=1"; do
    # shellcheck disable=SC2086
    check_exit "it decodes $how" 0 "$kaskad" translate -m "$work/gated/model" -t 1 \
        --user-dir "$work/examples" $how <"$work/de"
    check "lines $how" "$(wc -l <"$work/out")" 3
done
check_exit "without the plugin" 1 "$kaskad" translate -m "$work/gated/model" <"$work/de"
check_has "named" "$(<"$work/err")" "model_type 'gated' is not one of: marian"
check_exit "a bad argument of a loss" 1 train --out "$work/bad" --loss rdrop=-1
check_has "named" "$(<"$work/err")" "rdrop takes STRENGTH"
check_exit "an unknown loss" 1 train --out "$work/bad" --loss hinge
check_has "the known ones are named" "$(<"$work/err")" "known: cross_entropy, rdrop"

# --- a model under another name: declared, loaded, decoded, verified through a plugin ---
mkdir "$work/models"
cp -r "$model" "$work/models/copy"
sed -i 's/"model_type": *"marian"/"model_type": "marian_copy"/' "$work/models/copy/config.json"
cat >"$work/models/copy.c" <<'C'
#include <kaskad/extend.h>

static ksk_model_type copy;
static const ksk_model_type *const models[] = {&copy, NULL};
static const ksk_plugin plugin = {KSK_EXTEND_VERSION, "copy", .models = models};

const ksk_plugin *kaskad_plugin(void)
{
    copy = *ksk_model_type_find("marian");
    copy.name = "marian_copy";
    return &plugin;
}
C
check_exit "build a model" 0 "$kaskad" plugin build "$work/models"
check_exit "the model without its plugin" 1 "$kaskad" verify -m "$work/models/copy"
check_has "named" "$(<"$work/err")" "model_type 'marian_copy' is not one of: marian"
check_exit "the model" 0 "$kaskad" verify -m "$work/models/copy" --user-dir "$work/models"

# --- the guide's code: blocks behind <!-- NAME.c --> ---
mkdir "$work/guide"
for name in first cube small hard; do
    sed -n "/^<!-- $name.c -->\$/,/^\`\`\`\$/p" "$root/docs/plugins.md" | sed '1,2d;$d' \
        >"$work/guide/$name.c"
    [[ -s $work/guide/$name.c ]]
    check "the guide has $name.c" $? 0
done
check_exit "build the guide" 0 "$kaskad" plugin build "$work/guide"
check "the guide's decoder" "$("$kaskad" translate -m "$model" -t 1 --user-dir "$work/guide" \
    --decode first <"$work/de")" "$(translate --decode greedy)"
sed 's/NAME/cube/g' "$work/usr/share/kaskad/templates/test_operation.c" >"$work/guide/test_cube.c"
for test in model:small loss:hard; do
    sed "s/NAME/${test#*:}/g" "$work/usr/share/kaskad/templates/test_${test%:*}.c" \
        >"$work/guide/test_${test#*:}.c"
done
check_exit "build the guide's tests" 0 "$kaskad" plugin build "$work/guide"
for name in cube small hard; do
    check_exit "the guide's $name" 0 "$work/guide/test_$name" "$work/guide/$name.so"
done

# --- hostile ones ---
hostile() { cat >"$work/hostile/$1.c"; }
brings() { # VERSION DECODER
    printf '%s\n' '#include <kaskad/extend.h>' \
        'static bool decode(ksk_l2r *l, int n, const int32_t *const *s, const int *k,' \
        '    const ksk_decode_options *o, const uint64_t *m, ksk_nbest *r, ksk_error *err)' \
        '{ (void)l, (void)n, (void)s, (void)k, (void)o, (void)m, (void)r;' \
        '  return ksk_fail(err, KSK_UNSUPPORTED, "no"); }' \
        "static const ksk_decoder d = {.name = \"$2\", .decode = decode};" \
        'static const ksk_decoder *const ds[] = {&d, NULL};' \
        "static const ksk_plugin p = {$1, \"p_$2\", .decoders = ds};" \
        'const ksk_plugin *kaskad_plugin(void) { return &p; }'
}
brings 2 good | hostile good
brings 7 late | hostile old
brings 2 beam | hostile clash
hostile entry <<<'int nothing_here(void); int nothing_here(void) { return 1; }'
hostile crash <<<'#include <stdlib.h>
__attribute__((constructor)) static void start(void) { abort(); }'
hostile fault <<<'#include <kaskad/extend.h>
static const ksk_plugin *volatile *nowhere;
const ksk_plugin *kaskad_plugin(void) { return *nowhere; }'
hostile leaves <<<'#include <stdlib.h>
__attribute__((constructor)) static void start(void) { exit(0); }'
hostile missing <<<'#include <kaskad/extend.h>
void ksk_is_not_there(void);
const ksk_plugin *kaskad_plugin(void) { ksk_is_not_there(); return NULL; }'
check_exit "building hostile ones" 1 "$kaskad" plugin build "$work/hostile"
echo "int main(" >"$work/hostile/broken.c"
check_exit "one that does not compile" 1 "$kaskad" plugin build "$work/hostile"
check_has "named" "$(<"$work/err")" "broken.c: the compiler failed"
check_has "the rest is built" "$(<"$work/out")" "good.so: plugin p_good, decoder good"
echo "no ELF file" >"$work/hostile/text.so"
: >"$work/hostile/empty.so"
head -c 2000 "$work/hostile/good.so" >"$work/hostile/cut.so"
ln -s /nowhere "$work/hostile/link.so"
check_exit "hostile ones are refused" 1 "$kaskad" plugin list --user-dir "$work/hostile"
refusal() { check_has "$1 refused" "$(grep "/$1.so:" "$work/err")" "$1.so: $2"; }
refusal old "made for version 7 of the plugin interface, but kaskad 0.1.0 has version 2"
refusal clash "decoder 'beam' is already there, from kaskad"
refusal entry "no plugin: it has no function kaskad_plugin"
refusal crash "it crashes when it is loaded (Aborted)"
refusal fault "it crashes when it is loaded (Segmentation fault)"
refusal leaves "it ends the program when it is loaded (status 0)"
refusal missing "no plugin: undefined symbol: ksk_is_not_there"
refusal text "no plugin: "
refusal empty "no plugin: file too short"
refusal cut ""
refusal link "No such file or directory"
check "nothing else is refused" "$(grep -c refused "$work/err")" 11
check_has "the good one is there" "$(<"$work/out")" "good             p_good"
check_exit "asked for a refused one" 1 "$kaskad" translate -m "$model" --user-dir "$work/hostile" \
    --decode late
check_exit "not asked for" 0 "$kaskad" translate -m "$model" --user-dir "$work/hostile" <"$work/de"
check "the rest goes on" "$(<"$work/out")" "$(translate)"
finish
