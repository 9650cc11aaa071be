/* The table of keys, and settings by name. */
#include "train/recipe.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/string.h"
#include "kaskad/memory.h"

typedef enum key_kind { KEY_INT, KEY_NUMBER, KEY_BOOL, KEY_TEXT, KEY_FILE, KEY_CHOICE } key_kind;

typedef struct key {
    ksk_recipe_key about;
    key_kind kind;
    bool free; /* may change while a run goes on: no update depends on it */
    size_t offset;
    double min, max;
} key;

#define AT(field) .offset = offsetof(ksk_recipe, field)
#define ABOUT(field, v, f, h)                                                                      \
    .about = {.name = #field, .value = (v), .fallback = (f), .help = (h)}, AT(field)
#define INTEGER(field, f, low, high, h)                                                            \
    {                                                                                              \
        ABOUT(field, "N", f, h), .kind = KEY_INT, .min = (low), .max = (high)                      \
    }
#define FREE_INTEGER(field, f, low, high, h)                                                       \
    {                                                                                              \
        ABOUT(field, "N", f, h), .kind = KEY_INT, .min = (low), .max = (high), .free = true        \
    }
#define NUMBER(field, f, low, high, h)                                                             \
    {                                                                                              \
        ABOUT(field, "X", f, h), .kind = KEY_NUMBER, .min = (low), .max = (high)                   \
    }
#define TEXT(field, v, f, h)                                                                       \
    {                                                                                              \
        ABOUT(field, v, f, h), .kind = KEY_TEXT                                                    \
    }
#define PATH(field, v, h)                                                                          \
    {                                                                                              \
        ABOUT(field, v, "", h), .kind = KEY_FILE                                                   \
    }
#define CHOICE(field, list, f, h)                                                                  \
    {                                                                                              \
        ABOUT(field, list, f, h), .kind = KEY_CHOICE                                               \
    }

static const double most = 1e9;

/* Choices are in the order of the enumerations that they stand for. */
static const key keys[] = {
    PATH(train, "TSV", "training pairs, SOURCE<TAB>TARGET a line; .gz is read too"),
    PATH(train_source, "FILE", "or the source side alone"),
    PATH(train_target, "FILE", "and the target side, line by line the same"),
    INTEGER(max_pairs, "0", 0, 4e9, "use only the first N training pairs; 0: all"),
    PATH(dev, "TSV", "pairs to evaluate on"),
    PATH(dev_source, "FILE", "or the source side alone"),
    PATH(dev_target, "FILE", "and the target side"),
    INTEGER(max_dev_pairs, "0", 0, 4e9, "use only the first N of them; 0: all"),
    INTEGER(max_length, "256", 2, 1 << 20, "pairs with more tokens on a side are left out"),
    TEXT(source_language, "CODE", "", "said in tokenizer_config.json"),
    TEXT(target_language, "CODE", "", "said in tokenizer_config.json"),

    PATH(init_from, "DIR",
         "checkpoint whose weights the run begins with, where names and shapes agree"),
    PATH(tokenizer, "DIR",
         "directory of a tokenizer to use; none: init_from's, or a vocabulary is learned"),
    INTEGER(vocabulary, "8000", 16, 1e6, "pieces to learn, both sides together"),
    CHOICE(vocabulary_kind, "unigram|bpe", "unigram", "how SentencePiece learns them"),
    {ABOUT(lossless, "yes|no", "yes", "no normalisation; decoding gives every text back"),
     .kind = KEY_BOOL},
    NUMBER(coverage, "0.9995", 0.5, 1, "share of characters that get a piece of their own"),

    TEXT(model, "NAME", "marian", "architecture: marian, kaskad-markov, or a plugin's"),
    TEXT(model_options, "NAME=VALUE,...", "", "more settings for its config.json"),
    INTEGER(d_model, "256", 2, 16384, "width"),
    INTEGER(encoder_layers, "3", 1, 256, "layers"),
    INTEGER(decoder_layers, "2", 1, 256, "layers"),
    INTEGER(heads, "4", 1, 16384, "attention heads; they divide d_model"),
    INTEGER(ffn, "1024", 1, 65536, "width inside the feed-forward blocks"),
    TEXT(activation, "NAME", "relu", "of the feed-forward blocks: relu, gelu, swish …"),
    INTEGER(max_positions, "512", 8, 1 << 20, "most tokens in a sentence, ever"),
    INTEGER(markov_order, "0", 0, 64,
            "a Markov Transformer with contexts up to N tokens, for the cascade; 0: a plain one"),
    NUMBER(dropout, "0.1", 0, 0.99, "share of activations dropped"),
    NUMBER(label_smoothing, "0.1", 0, 0.99, "probability spread over all tokens"),

    TEXT(loss, "NAME[=ARGUMENT]", "cross_entropy",
         "what training makes small: cross_entropy, or a plugin's"),

    TEXT(optimiser, "NAME", "adam",
         "what turns gradients into updates: sgd, adam, adamw, or a plugin's"),
    NUMBER(beta1, "0.9", 0, 0.999999, "decay of the first moment, or momentum"),
    NUMBER(beta2, "0.98", 0, 0.999999, "decay of the second moment"),
    NUMBER(epsilon, "1e-9", 0, 1, "added to the root of the second moment"),
    NUMBER(weight_decay, "0", 0, 1, "pull towards zero"),
    NUMBER(clip_norm, "1", 0, 1e9, "longest gradient; 0: any"),
    CHOICE(schedule, "inverse_sqrt|cosine|linear", "inverse_sqrt", "of the rate after warm-up"),
    NUMBER(learning_rate, "1e-3", 0, 1e30, "at the end of the warm-up"),
    NUMBER(min_learning_rate, "0", 0, 1e30, "where it ends"),
    INTEGER(warmup, "2000", 0, most, "updates with a rising rate"),

    INTEGER(seed, "1", 0, 9e15, "of weights, order and dropout"),
    INTEGER(batch_tokens, "4096", 2, 1e7, "most tokens a batch has on a side"),
    INTEGER(accumulate, "1", 1, 10000, "batches in an update"),
    FREE_INTEGER(max_updates, "0", 0, most, "end after N updates; 0: no limit"),
    FREE_INTEGER(max_epochs, "0", 0, most, "end after N passes over the data; 0: no limit"),
    {ABOUT(max_minutes, "X", "0", "end after this long; 0: no limit"), .kind = KEY_NUMBER,
     .max = 1e7, .free = true},
    INTEGER(eval_every, "500", 1, most, "updates between evaluations, each with a checkpoint"),
    FREE_INTEGER(patience, "0", 0, most, "end after N evaluations without a better one; 0: go on"),
    FREE_INTEGER(save_every, "500", 1, most, "updates between saved states"),
    FREE_INTEGER(log_every, "50", 1, most, "updates between lines of the log"),
    INTEGER(dev_beam, "1", 1, 64, "hypotheses when the dev pairs are translated; 1: greedy"),
    TEXT(bleu_tokenizer, "13a|none", "13a", "tokens of the dev BLEU; none: text is tokenised"),
    CHOICE(best_by, "bleu|loss", "bleu", "what makes an evaluation better"),
    INTEGER(average, "5", 1, 1000, "checkpoints whose average is the model"),
    CHOICE(average_of, "last|best", "last", "which ones"),
    CHOICE(weights, "f32|bf16", "f32", "type of the numbers in the model"),
    INTEGER(beam, "5", 1, 1024, "the model's default number of hypotheses"),
    FREE_INTEGER(threads, "0", 0, 64, "0: one per processor"),
};
enum { KEYS = sizeof keys / sizeof *keys };

const ksk_recipe_key *ksk_recipe_key_at(int index)
{
    return index < 0 || index >= KEYS ? NULL : &keys[index].about;
}

/* --- names --------------------------------------------------------------------------------------
 */

/* Edits (insert, delete, replace) between a key's name and a word of at most 40 letters. */
static int distance(const char *word, const char *name)
{
    enum { LONGEST = 40 };
    const int m = (int)strnlen(word, LONGEST), n = (int)strnlen(name, LONGEST);
    int row[LONGEST + 1];
    for (int j = 0; j <= n; j++)
        row[j] = j;
    for (int i = 1; i <= m; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= n; j++) {
            const int above = row[j], change = diagonal + (word[i - 1] != name[j - 1]);
            const int gap = (above < row[j - 1] ? above : row[j - 1]) + 1;
            row[j] = change < gap ? change : gap;
            diagonal = above;
        }
    }
    return row[n];
}

static const key *find_key(const char *name, ksk_error *err)
{
    const key *nearest = &keys[0];
    char shown[60];
    for (int i = 0; i < KEYS; i++) {
        if (strcmp(keys[i].about.name, name) == 0)
            return &keys[i];
        if (distance(name, keys[i].about.name) < distance(name, nearest->about.name))
            nearest = &keys[i];
    }
    ksk_fail(err, KSK_BAD_ARGUMENT, "there is no key '%s'; the nearest is '%s'",
             ksk_printable(name, shown, sizeof shown), nearest->about.name);
    return NULL;
}

/* --- values -------------------------------------------------------------------------------------
 */

static void *field(ksk_recipe *recipe, const key *k)
{
    return (char *)recipe + k->offset;
}

static const void *field_of(const ksk_recipe *recipe, const key *k)
{
    return (const char *)recipe + k->offset;
}

static bool refuse(const key *k, const char *value, const char *expected, ksk_error *err)
{
    char shown[100];
    return ksk_fail(err, KSK_BAD_ARGUMENT, "%s is %s, not '%s'", k->about.name, expected,
                    ksk_printable(value, shown, sizeof shown));
}

static bool put_number(ksk_recipe *recipe, const key *k, const char *value, ksk_error *err)
{
    const bool whole = k->kind == KEY_INT;
    char *end, range[80];
    const double number = strtod(value, &end);
    snprintf(range, sizeof range, "a%s number from %.10g to %.10g", whole ? " whole" : "", k->min,
             k->max);
    /* strtod reads more than a recipe should hold: hexadecimal, "inf", "nan". */
    if (!*value || *end || strspn(value, "+-.eE0123456789") != strlen(value) || !isfinite(number) ||
        number < k->min || number > k->max || (whole && number != floor(number)))
        return refuse(k, value, range, err);
    if (whole)
        *(int64_t *)field(recipe, k) = (int64_t)number;
    else
        *(double *)field(recipe, k) = number;
    return true;
}

static bool put_bool(ksk_recipe *recipe, const key *k, const char *value, ksk_error *err)
{
    const bool yes = !strcmp(value, "yes") || !strcmp(value, "true");
    if (!yes && strcmp(value, "no") != 0 && strcmp(value, "false") != 0)
        return refuse(k, value, "yes or no", err);
    *(bool *)field(recipe, k) = yes;
    return true;
}

static bool put_choice(ksk_recipe *recipe, const key *k, const char *value, ksk_error *err)
{
    const size_t length = strlen(value);
    int index = 0;
    for (const char *at = k->about.value; at; index++) {
        const size_t width = strcspn(at, "|");
        if (width == length && memcmp(at, value, length) == 0) {
            *(int *)field(recipe, k) = index;
            return true;
        }
        at = at[width] ? at + width + 1 : NULL;
    }
    char expected[100];
    snprintf(expected, sizeof expected, "one of %s", k->about.value);
    return refuse(k, value, expected, err);
}

static bool put_text(ksk_recipe *recipe, const key *k, char *text, ksk_error *err)
{
    char **at = field(recipe, k);
    if (!text)
        return ksk_fail_memory(err);
    ksk_free(*at);
    *at = text;
    if (!*text) {
        ksk_free(text);
        *at = NULL;
    }
    return true;
}

/* `value` with each $NAME and ${NAME} replaced; NULL with `err` filled. */
static char *expand(const key *k, const char *value, ksk_error *err)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
    ksk_string out = {0};
    for (const char *at = value; *at;) {
        const size_t plain = strcspn(at, "$");
        ksk_string_add(&out, "%.*s", (int)plain, at);
        at += plain;
        if (!*at)
            break;
        const bool braces = at[1] == '{';
        const char *begin = at + 1 + braces;
        const size_t length = strspn(begin, letters);
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)length, begin);
        const char *known = getenv(name);
        if (!known || !*known) {
            ksk_free(out.data);
            ksk_fail(err, KSK_BAD_ARGUMENT,
                     "%s needs the environment variable %s, which is not set: it names the "
                     "directory that holds the data",
                     k->about.name, name);
            return NULL;
        }
        ksk_string_add(&out, "%s", known);
        at = begin + length + (braces && begin[length] == '}');
    }
    char *text = ksk_string_take(&out);
    if (!text)
        ksk_fail_memory(err);
    return text;
}

/* Absolute where the file is there, so that a run goes on from any directory. */
static bool put_path(ksk_recipe *recipe, const key *k, const char *value, const char *base,
                     ksk_error *err)
{
    char *expanded = expand(k, value, err);
    if (!expanded)
        return false;
    char *joined =
        base && *expanded && *expanded != '/' ? ksk_path(base, expanded) : ksk_strdup(expanded);
    ksk_free(expanded);
    char *absolute = joined && *joined ? realpath(joined, NULL) : NULL;
    char *text = absolute ? ksk_strdup(absolute) : joined;
    if (absolute)
        ksk_free(joined);
    free(absolute);
    return put_text(recipe, k, text, err);
}

static bool put(ksk_recipe *recipe, const key *k, const char *value, const char *base,
                ksk_error *err)
{
    switch (k->kind) {
    case KEY_INT:
    case KEY_NUMBER:
        return put_number(recipe, k, value, err);
    case KEY_BOOL:
        return put_bool(recipe, k, value, err);
    case KEY_CHOICE:
        return put_choice(recipe, k, value, err);
    case KEY_FILE:
        return put_path(recipe, k, value, base, err);
    default:
        return put_text(recipe, k, ksk_strdup(value), err);
    }
}

bool ksk_recipe_put(ksk_recipe *recipe, const char *name, const char *value, const char *base,
                    ksk_error *err)
{
    const key *k = find_key(name, err);
    return k && put(recipe, k, value, base, err);
}

bool ksk_recipe_set(ksk_recipe *recipe, const char *name, const char *value, ksk_error *err)
{
    return ksk_recipe_put(recipe, name, value, NULL, err);
}

/* --- making and printing ------------------------------------------------------------------------
 */

ksk_recipe *ksk_recipe_new(ksk_error *err)
{
    ksk_recipe *recipe = ksk_calloc(1, sizeof *recipe);
    if (!recipe) {
        ksk_fail_memory(err);
        return NULL;
    }
    for (int i = 0; i < KEYS; i++)
        if (!put(recipe, &keys[i], keys[i].about.fallback, NULL, err)) {
            ksk_recipe_free(recipe);
            return NULL;
        }
    return recipe;
}

void ksk_recipe_free(ksk_recipe *recipe)
{
    if (!recipe)
        return;
    for (int i = 0; i < KEYS; i++)
        if (keys[i].kind == KEY_TEXT || keys[i].kind == KEY_FILE)
            ksk_free(*(char **)field(recipe, &keys[i]));
    ksk_free(recipe);
}

/* Between double quotes, as YAML and JSON write it. */
static void print_text(ksk_string *out, const char *text)
{
    ksk_string_add(out, "\"");
    for (; *text; text++)
        if ((unsigned char)*text < 0x20)
            ksk_string_add(out, "\\x%02x", (unsigned)*text);
        else
            ksk_string_add(out, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
    ksk_string_add(out, "\"");
}

/* With as few digits as give the number back. */
static void print_number(ksk_string *out, double number)
{
    char text[40];
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, number);
        if (strtod(text, NULL) == number)
            break;
    }
    ksk_string_add(out, "%s", text);
}

static void print_choice(ksk_string *out, const char *choices, int index)
{
    for (; index > 0; index--)
        choices += strcspn(choices, "|") + 1;
    ksk_string_add(out, "%.*s", (int)strcspn(choices, "|"), choices);
}

static void print_value(ksk_string *out, const ksk_recipe *recipe, const key *k)
{
    const void *at = field_of(recipe, k);
    const char *text;
    switch (k->kind) {
    case KEY_INT:
        ksk_string_add(out, "%lld", (long long)*(const int64_t *)at);
        break;
    case KEY_NUMBER:
        print_number(out, *(const double *)at);
        break;
    case KEY_BOOL:
        ksk_string_add(out, "%s", *(const bool *)at ? "yes" : "no");
        break;
    case KEY_CHOICE:
        print_choice(out, k->about.value, *(const int *)at);
        break;
    default:
        text = *(char *const *)at;
        print_text(out, text ? text : "");
    }
}

char *ksk_recipe_print(const ksk_recipe *recipe)
{
    ksk_string out = {0};
    for (int i = 0; i < KEYS; i++) {
        ksk_string_add(&out, "%s: ", keys[i].about.name);
        print_value(&out, recipe, &keys[i]);
        ksk_string_add(&out, "\n");
    }
    return ksk_string_take(&out);
}

/* --- checking -----------------------------------------------------------------------------------
 */

static bool check_data(const char *tsv, const char *source, const char *target, const char *what,
                       ksk_error *err)
{
    if (tsv ? !source && !target : source && target)
        return true;
    return ksk_fail(err, KSK_BAD_ARGUMENT,
                    "the recipe needs either %s, or both %s_source and %s_target", what, what,
                    what);
}

/* Cosine and linear schedules reach their end at max_updates. */
static bool check_end(const ksk_recipe *recipe, ksk_error *err)
{
    if (recipe->schedule != KSK_SCHEDULE_INVERSE_SQRT && recipe->max_updates <= recipe->warmup)
        return ksk_fail(err, KSK_BAD_ARGUMENT,
                        "this schedule ends at max_updates, which must be over warmup (%lld)",
                        (long long)recipe->warmup);
    return recipe->max_updates || recipe->max_epochs || recipe->max_minutes > 0 ||
           recipe->patience ||
           ksk_fail(err, KSK_BAD_ARGUMENT,
                    "nothing would end this run: set max_updates, max_epochs, max_minutes or "
                    "patience");
}

/* "there is no loss 'x': a, b and c are known". */
static bool unknown(const char *kind, const char *given, ksk_error *err)
{
    char shown[60], known[300] = "";
    ksk_item item;
    size_t length = 0;
    for (int p = 0; ksk_plugin_at(p); p++)
        for (int i = 0; ksk_plugin_item(ksk_plugin_at(p), i, &item); i++)
            if (!strcmp(item.kind, kind) && length < sizeof known)
                length += (size_t)snprintf(known + length, sizeof known - length, "%s%s",
                                           length ? ", " : "", item.name);
    return ksk_fail(err, KSK_BAD_ARGUMENT, "there is no %s '%s'; known: %s", kind,
                    ksk_printable(given ? given : "", shown, sizeof shown), known);
}

static bool check_names(const ksk_recipe *recipe, ksk_error *err)
{
    const ksk_loss *const loss = ksk_recipe_loss(recipe);
    if (!ksk_recipe_model(recipe))
        return unknown("model", recipe->model, err);
    if (!loss)
        return unknown("loss", recipe->loss, err);
    if (!recipe->optimiser || !ksk_optimiser_find(recipe->optimiser))
        return unknown("optimiser", recipe->optimiser, err);
    if (!loss->takes && strchr(recipe->loss, '='))
        return ksk_fail(err, KSK_BAD_ARGUMENT, "loss '%s' takes no argument", loss->name);
    json_t *const options = ksk_recipe_model_options(recipe, err);
    json_decref(options);
    return options != NULL;
}

bool ksk_recipe_check(const ksk_recipe *recipe, ksk_error *err)
{
    if (!check_data(recipe->train, recipe->train_source, recipe->train_target, "train", err) ||
        !check_data(recipe->dev, recipe->dev_source, recipe->dev_target, "dev", err))
        return false;
    if (recipe->d_model % recipe->heads != 0)
        return ksk_fail(err, KSK_BAD_ARGUMENT, "d_model %lld is not a multiple of heads %lld",
                        (long long)recipe->d_model, (long long)recipe->heads);
    if (recipe->max_length > recipe->max_positions || recipe->max_length > recipe->batch_tokens)
        return ksk_fail(err, KSK_BAD_ARGUMENT,
                        "max_length %lld is over max_positions %lld or "
                        "batch_tokens %lld",
                        (long long)recipe->max_length, (long long)recipe->max_positions,
                        (long long)recipe->batch_tokens);
    if (!check_names(recipe, err))
        return false;
    if (!recipe->bleu_tokenizer ||
        (strcmp(recipe->bleu_tokenizer, "13a") != 0 && strcmp(recipe->bleu_tokenizer, "none") != 0))
        return ksk_fail(err, KSK_BAD_ARGUMENT, "bleu_tokenizer is 13a or none");
    return check_end(recipe, err);
}

static bool may_change(const ksk_recipe *recipe, const key *k)
{
    const bool shapes_schedule = k->offset == offsetof(ksk_recipe, max_updates) &&
                                 recipe->schedule != KSK_SCHEDULE_INVERSE_SQRT;
    return k->free && !shapes_schedule;
}

bool ksk_recipe_continues(const ksk_recipe *recipe, const ksk_recipe *before, ksk_error *err)
{
    for (int i = 0; i < KEYS; i++) {
        ksk_string now = {0}, then = {0};
        print_value(&now, recipe, &keys[i]);
        print_value(&then, before, &keys[i]);
        char *texts[] = {ksk_string_take(&now), ksk_string_take(&then)};
        const bool known = texts[0] && texts[1];
        const bool same =
            may_change(recipe, &keys[i]) || (known && strcmp(texts[0], texts[1]) == 0);
        if (!known)
            ksk_fail_memory(err);
        else if (!same)
            ksk_fail(err, KSK_BAD_ARGUMENT,
                     "the run was begun with %s %.150s, not %.150s; resume it as it was begun, or "
                     "begin another run",
                     keys[i].about.name, texts[1], texts[0]);
        ksk_free(texts[0]);
        ksk_free(texts[1]);
        if (!known || !same)
            return false;
    }
    return true;
}
