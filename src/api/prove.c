/* A checkpoint's proof: computed when it is saved, compared when it is verified. */
#include <string.h>

#include "api/model.h"
#include "kaskad/memory.h"

/* Steps probed in each text, and ids at each: the largest logits. */
enum { most_steps = 6, ids_a_step = 3 };

static const char *const texts[] = {"Guten Morgen!", "Where is the nearest station?",
                                    "Il a 42 ans, n'est-ce pas ?"};

/* --- computing ----------------------------------------------------------------------------------
 */

static bool decode_greedily(const ksk_model *model, ksk_l2r *scorer, ksk_proof_text *text,
                            ksk_error *err)
{
    ksk_decode_options options = model->decode;
    ksk_nbest result = {0};
    const int32_t *const source = text->source_ids;
    const uint64_t number = 0;
    options.beams = options.n_best = 1;
    if (options.max_length > 64)
        options.max_length = 64;
    if (!ksk_decoder_find("greedy")->decode(scorer, 1, &source, &text->source_count, &options,
                                            &number, &result, err))
        return false;
    text->target_ids = result.hypotheses[0].ids;
    text->target_count = result.hypotheses[0].length;
    result.hypotheses[0].ids = NULL;
    ksk_nbest_clear(&result);
    return true;
}

/* Feeds the target and calls `visit` with the logits of each of its first steps. */
static bool walk(ksk_l2r *scorer, const ksk_proof_text *text, void *context,
                 bool (*visit)(void *context, int step, const float *logits, ksk_error *err),
                 ksk_error *err)
{
    const int32_t *const source = text->source_ids;
    if (!scorer->start(scorer, 1, &source, &text->source_count, err))
        return false;
    for (int step = 0; step < most_steps && step < text->target_count; step++) {
        const int32_t parent = step ? 0 : -1;
        const int32_t token = step ? text->target_ids[step - 1] : scorer->start_id;
        float *logits;
        if (!scorer->step(scorer, 1, &parent, &token, &logits, err) ||
            !visit(context, step, logits, err))
            return false;
    }
    return true;
}

typedef struct prober {
    ksk_proof_text *text;
    int vocabulary;
} prober;

static bool probe_step(void *context, int step, const float *logits, ksk_error *err)
{
    (void)err;
    const prober *p = context;
    ksk_probe *probes = p->text->probes + p->text->probe_count;
    for (int k = 0; k < ids_a_step && k < p->vocabulary; k++) {
        int best = -1;
        for (int id = 0; id < p->vocabulary; id++) {
            bool taken = false;
            for (int j = 0; j < k; j++)
                taken |= probes[j].id == id;
            if (!taken && (best < 0 || logits[id] > logits[best]))
                best = id;
        }
        probes[k] = (ksk_probe){step, best, logits[best]};
        p->text->probe_count++;
    }
    return true;
}

/* Half of the text, whole characters. */
static void halve(char *text)
{
    size_t length = strlen(text) / 2;
    while (length > 0 && ((unsigned char)text[length] & 0xC0) == 0x80)
        length--;
    text[length] = '\0';
}

/* The source's ids; it is cut to what the model takes. */
static bool encode_source(const ksk_model *model, ksk_proof_text *text, ksk_error *err)
{
    for (;;) {
        ksk_ids ids = {0};
        if (!ksk_tokenizer_encode_source(model->tokenizer, text->source, strlen(text->source), &ids,
                                         NULL, err)) {
            ksk_free(ids.ids);
            return false;
        }
        if ((int64_t)ids.count <= model->rules.max_source || !*text->source) {
            text->source_ids = ids.ids;
            text->source_count = (int)ids.count;
            return true;
        }
        ksk_free(ids.ids);
        halve(text->source);
    }
}

static bool compute(const ksk_model *model, ksk_l2r *scorer, const char *source,
                    ksk_proof_text *text, ksk_error *err)
{
    text->source = ksk_strdup(source);
    text->probes = ksk_calloc((size_t)most_steps * ids_a_step, sizeof *text->probes);
    if (!text->source || !text->probes)
        return ksk_fail_memory(err);
    prober p = {text, scorer->vocabulary};
    return encode_source(model, text, err) && decode_greedily(model, scorer, text, err) &&
           walk(scorer, text, &p, probe_step, err);
}

/* The texts of the proof that the model came with; the built-in ones when it had none. */
static bool choose_texts(const ksk_model *model, ksk_proof *known, ksk_error *err)
{
    bool found = false;
    *known = (ksk_proof){0};
    return ksk_model_file(model, "kaskad.json", &found, err) &&
           (!found || ksk_proof_read(model->directory, known, err));
}

/* Of what the plans compute, which is in that precision. */
static bool prove(const ksk_model *model, const ksk_seq2seq_plans *plans, ksk_precision precision,
                  const char *directory, ksk_error *err)
{
    ksk_proof known, proof = {.library = ksk_strdup("kaskad " KSK_VERSION),
                              .precision = ksk_strdup(ksk_precision_name(precision))};
    ksk_l2r *scorer = NULL;
    bool ok = choose_texts(model, &known, err);
    const int count = known.count ? known.count : (int)(sizeof texts / sizeof *texts);
    proof.texts = ksk_calloc((size_t)count, sizeof *proof.texts);
    ok = ok && ((proof.texts && proof.library && proof.precision) || ksk_fail_memory(err));
    ok = ok && (scorer = ksk_seq2seq_scorer_new(plans, &model->rules, 1, err));
    for (int i = 0; ok && i < count; i++) {
        proof.count = i + 1;
        ok = compute(model, scorer, known.count ? known.texts[i].source : texts[i], &proof.texts[i],
                     err);
    }
    if (ok) {
        proof.recipe = known.recipe;
        proof.data = known.data;
        known.recipe = known.data = NULL;
        ok = ksk_proof_write(directory, &proof, err);
    }
    if (scorer)
        scorer->free(scorer);
    ksk_proof_clear(&proof);
    ksk_proof_clear(&known);
    return ok;
}

bool ksk_model_prove(const ksk_model *model, const char *directory, ksk_error *err)
{
    ksk_seq2seq_plans *plans = ksk_model_stored_plans(model, err);
    const bool ok = plans && prove(model, plans, model->stored.precision, directory, err);
    ksk_seq2seq_plans_free(plans);
    return ok;
}

bool ksk_model_prove_packed(const ksk_model *model, const char *directory, ksk_error *err)
{
    const ksk_seq2seq_plans *plans = ksk_model_plans(model, KSK_TO_GENERATE, err);
    return plans && prove(model, plans, model->compile.precision, directory, err);
}

/* --- verifying ----------------------------------------------------------------------------------
 */

typedef struct checker {
    const ksk_proof *proof;
    int text;
    double tolerance;
} checker;

static bool check_step(void *context, int step, const float *logits, ksk_error *err)
{
    const checker *c = context;
    const ksk_proof_text *text = &c->proof->texts[c->text];
    for (int i = 0; i < text->probe_count; i++)
        if (text->probes[i].step == step &&
            !ksk_proof_check_logit(c->proof, c->text, i, logits[text->probes[i].id], c->tolerance,
                                   err))
            return false;
    return true;
}

static bool check_ids(const ksk_proof *proof, int text, const ksk_model *model, ksk_error *err)
{
    ksk_ids ids = {0};
    const char *source = proof->texts[text].source;
    const bool ok =
        ksk_tokenizer_encode_source(model->tokenizer, source, strlen(source), &ids, NULL, err) &&
        ksk_proof_check_source(proof, text, ids.ids, (int)ids.count, err);
    ksk_free(ids.ids);
    return ok;
}

static bool check_id(const char *what, int32_t id, int vocabulary, ksk_error *err)
{
    return (id >= 0 && id < vocabulary) ||
           ksk_fail(err, KSK_BAD_FORMAT, "kaskad.json: %s %d is not in [0, %d)", what, (int)id,
                    vocabulary);
}

static bool check_vocabulary(const ksk_proof_text *text, int vocabulary, ksk_error *err)
{
    bool ok = true;
    for (int i = 0; ok && i < text->target_count; i++)
        ok = check_id("target id", text->target_ids[i], vocabulary, err);
    for (int i = 0; ok && i < text->probe_count; i++)
        ok = check_id("probe id", text->probes[i].id, vocabulary, err);
    return ok;
}

/* Narrower products move logits; where the proof was made with them too, only the steps of
 * activations that another processor rounds otherwise do. Ids are compared as tokens fed, not as
 * decoded anew. */
static double tolerance_of(const ksk_proof *proof, ksk_precision precision)
{
    static const double same[] = {
        [KSK_PRECISION_F32] = 1e-3, [KSK_PRECISION_BF16] = 1e-3, [KSK_PRECISION_INT8] = 5e-2};
    static const double other[] = {
        [KSK_PRECISION_F32] = 1e-3, [KSK_PRECISION_BF16] = 5e-2, [KSK_PRECISION_INT8] = 2e-1};
    const char *made_in = proof->precision ? proof->precision : "f32";
    return (strcmp(made_in, ksk_precision_name(precision)) == 0 ? same : other)[precision];
}

bool ksk_model_verify(const ksk_model *model, int *checked, ksk_error *err)
{
    ksk_proof proof;
    if (checked)
        *checked = 0;
    if (!ksk_proof_read(model->directory, &proof, err))
        return false;
    const ksk_seq2seq_plans *plans = ksk_model_plans(model, KSK_TO_GENERATE, err);
    ksk_l2r *scorer = plans ? ksk_seq2seq_scorer_new(plans, &model->rules, 1, err) : NULL;
    bool ok = scorer;
    for (int i = 0; ok && i < proof.count; i++) {
        checker c = {&proof, i, tolerance_of(&proof, model->compile.precision)};
        ok = check_ids(&proof, i, model, err) &&
             check_vocabulary(&proof.texts[i], scorer->vocabulary, err) &&
             walk(scorer, &proof.texts[i], &c, check_step, err);
        if (ok && checked)
            ++*checked;
    }
    if (scorer)
        scorer->free(scorer);
    ksk_proof_clear(&proof);
    return ok;
}
