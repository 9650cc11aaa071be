/* The training loop: updates, evaluations, saved states, and the model at the end. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "data/batches.h"
#include "kaskad/memory.h"
#include "train/average.h"
#include "train/curve.h"
#include "train/describe.h"
#include "train/evaluate.h"
#include "train/inherit.h"
#include "train/log.h"
#include "train/position.h"
#include "train/setup.h"

typedef struct run {
    const ksk_recipe *recipe;
    const ksk_train_options *options;
    const char *directory;
    char *model, *checkpoints, *log_path, *curve; /* paths */
    int lock;
    ksk_setup setup;
    ksk_trainer *trainer;
    ksk_position at;
    int64_t saved; /* the update of the last saved state, -1: none */
    ksk_log *log;
    ksk_batches batches;
    int64_t planned; /* the epoch that `batches` is for, -1: none */
    ksk_batch_view view;
    double began;            /* when this session began */
    int64_t session_updates; /* updates of this session */
    double recent_seconds;   /* that updates took since the last line of the log, */
    int64_t recent_tokens;   /* and how many tokens they had */
    ksk_train_progress progress;
} run;

/* Of all sessions together. */
static double seconds(const run *r)
{
    return r->at.seconds + ksk_clock_now() - r->began;
}

static ksk_key seed_key(const run *r, uint64_t purpose)
{
    return ksk_key_split(ksk_key_from_seed((uint64_t)r->recipe->seed), purpose);
}
enum { KEY_ORDER = 1, KEY_DROPOUT = 2 }; /* 0: the first weights */

/* --- progress -----------------------------------------------------------------------------------
 */

/* Until the first of the limits that can be foreseen; negative when there is none. */
static double seconds_left(const run *r)
{
    const ksk_recipe *recipe = r->recipe;
    double left = INFINITY;
    if (recipe->max_minutes > 0)
        left = 60 * recipe->max_minutes - seconds(r);
    if (recipe->max_updates && r->session_updates) {
        const double each = (ksk_clock_now() - r->began) / (double)r->session_updates;
        left = fmin(left, each * (double)(recipe->max_updates - r->at.update));
    }
    return isinf(left) ? -1 : fmax(0, left);
}

static bool watch(run *r, const char *stage)
{
    ksk_train_progress *p = &r->progress;
    p->stage = stage;
    p->update = r->at.update;
    p->epoch = r->at.epoch;
    p->best_bleu = r->at.best.update >= 0 ? r->at.best.bleu : NAN;
    p->seconds = seconds(r);
    p->left = seconds_left(r);
    const bool go_on =
        !r->options || !r->options->watch || r->options->watch(r->options->context, p);
    p->evaluated = false;
    return go_on;
}

static bool watch_setup(void *context, const char *stage)
{
    return watch(context, stage);
}

/* --- updates ------------------------------------------------------------------------------------
 */

/* The batch at the run's position, which then moves on. */
static bool next_batch(run *r, ksk_error *err)
{
    ksk_position *at = &r->at;
    if (r->planned != at->epoch) {
        const ksk_key key = ksk_key_split(seed_key(r, KEY_ORDER), (uint64_t)at->epoch);
        if (!ksk_batches_plan(&r->setup.train, r->recipe->batch_tokens, key, &r->batches, err))
            return false;
        r->planned = at->epoch;
    }
    if ((size_t)at->batch >= r->batches.count)
        return ksk_fail(err, KSK_BAD_FORMAT, "the saved state names batch %lld of %zu",
                        (long long)at->batch, r->batches.count);
    if (!ksk_batches_get(&r->batches, &r->setup.train, (size_t)at->batch, &r->view, err))
        return false;
    if ((size_t)++at->batch == r->batches.count) {
        at->batch = 0;
        at->epoch++;
    }
    return true;
}

static bool accumulate(run *r, ksk_error *err)
{
    const ksk_key key = ksk_key_split(seed_key(r, KEY_DROPOUT), (uint64_t)r->at.update);
    for (int64_t i = 0; i < r->recipe->accumulate; i++) {
        double loss;
        int64_t tokens;
        if (!next_batch(r, err))
            return false;
        const ksk_batch batch = {r->view.sentences, r->view.sources, r->view.source_lengths,
                                 r->view.targets, r->view.target_lengths};
        if (!ksk_trainer_accumulate(r->trainer, &batch, ksk_key_split(key, (uint64_t)i), &loss,
                                    &tokens, err))
            return false;
        r->at.loss_sum += loss;
        r->at.loss_tokens += tokens;
    }
    return true;
}

static bool log_updates(run *r, double norm, ksk_error *err)
{
    ksk_train_progress *p = &r->progress;
    if (r->at.update % r->recipe->log_every != 0)
        return true;
    const json_int_t tokens = (json_int_t)r->at.loss_tokens;
    r->at.loss_sum = 0;
    r->at.loss_tokens = 0;
    r->recent_seconds = 0;
    r->recent_tokens = 0;
    return ksk_log_write(r->log,
                         json_pack("{s:s, s:I, s:I, s:o, s:o, s:o, s:I, s:o, s:o}", "event",
                                   "updates", "update", (json_int_t)r->at.update, "epoch",
                                   (json_int_t)r->at.epoch, "loss", ksk_log_number(p->loss), "rate",
                                   ksk_log_number(p->rate), "norm", ksk_log_number(norm), "tokens",
                                   tokens, "tokens_per_second", ksk_log_number(p->speed), "seconds",
                                   ksk_log_number(seconds(r))),
                         err);
}

static ksk_schedule schedule_of(const ksk_recipe *recipe)
{
    return (ksk_schedule){.kind = (ksk_schedule_kind)recipe->schedule,
                          .peak = recipe->learning_rate,
                          .floor = recipe->min_learning_rate,
                          .warmup = recipe->warmup,
                          .total = recipe->max_updates};
}

static bool update(run *r, ksk_error *err)
{
    const ksk_schedule schedule = schedule_of(r->recipe);
    const double rate = ksk_schedule_rate(&schedule, r->at.update + 1), start = ksk_clock_now();
    const int64_t before = r->at.loss_tokens;
    double norm;
    if (!accumulate(r, err) || !ksk_trainer_update(r->trainer, (float)rate, &norm, err))
        return false;
    r->at.update++;
    r->session_updates++;
    r->recent_seconds += ksk_clock_now() - start;
    r->recent_tokens += r->at.loss_tokens - before;
    r->progress.rate = rate;
    r->progress.loss = r->at.loss_sum / (double)r->at.loss_tokens;
    r->progress.speed = (double)r->recent_tokens / r->recent_seconds;
    return log_updates(r, norm, err);
}

/* --- evaluation ---------------------------------------------------------------------------------
 */

static bool evaluate(run *r, const ksk_module *module, ksk_evaluation *result, ksk_error *err)
{
    const ksk_evaluator evaluator = {.type = r->setup.type,
                                     .rules = &r->setup.rules,
                                     .tokenizer = r->setup.tokenizer,
                                     .text = &r->setup.dev_text,
                                     .pairs = &r->setup.dev,
                                     .beams = (int)r->recipe->dev_beam,
                                     .bleu_tokenizer = r->recipe->bleu_tokenizer,
                                     .threads = r->setup.threads};
    if (!ksk_evaluate(&evaluator, module, result, err))
        return false;
    r->progress.evaluated = true;
    r->progress.dev_loss = result->loss;
    r->progress.dev_bleu = result->bleu;
    return true;
}

static bool is_better(const run *r, const ksk_checkpoint *a, const ksk_checkpoint *b)
{
    if (b->update < 0)
        return true;
    if (r->recipe->best_by == KSK_BY_BLEU && a->bleu != b->bleu)
        return a->bleu > b->bleu;
    return a->loss < b->loss;
}

/* How many of the checkpoints come before checkpoint i where the average chooses. */
static int64_t rank(const run *r, size_t i)
{
    const ksk_position *at = &r->at;
    int64_t before = 0;
    for (size_t j = 0; j < at->checkpoint_count; j++) {
        const bool better = is_better(r, &at->checkpoints[j], &at->checkpoints[i]);
        const bool worse = is_better(r, &at->checkpoints[i], &at->checkpoints[j]);
        before += r->recipe->average_of == KSK_AVERAGE_LAST ? j > i : better || (!worse && j < i);
    }
    return before;
}

/* Keeps what the average may still need, and the best. One that goes ranks behind all that
 * stay, so the order of going does not matter. */
static void drop_checkpoints(run *r)
{
    ksk_position *at = &r->at;
    for (size_t i = at->checkpoint_count; i-- > 0;)
        if (rank(r, i) >= r->recipe->average && at->checkpoints[i].update != at->best.update)
            memmove(&at->checkpoints[i], &at->checkpoints[i + 1],
                    (--at->checkpoint_count - i) * sizeof *at->checkpoints);
}

static bool add_checkpoint(run *r, const ksk_evaluation *evaluation, ksk_error *err)
{
    ksk_position *at = &r->at;
    const ksk_checkpoint checkpoint = {at->update, evaluation->loss, evaluation->bleu};
    if (!ksk_grow(&at->checkpoints, &at->checkpoint_room, at->checkpoint_count + 1,
                  sizeof *at->checkpoints))
        return ksk_fail_memory(err);
    at->checkpoints[at->checkpoint_count++] = checkpoint;
    at->without_better++;
    if (is_better(r, &checkpoint, &at->best)) {
        at->best = checkpoint;
        at->without_better = 0;
    }
    drop_checkpoints(r);
    return true;
}

static bool log_evaluation(run *r, const char *event, const ksk_evaluation *evaluation,
                           ksk_error *err)
{
    return ksk_log_write(
               r->log,
               json_pack("{s:s, s:I, s:o, s:o, s:I, s:o}", "event", event, "update",
                         (json_int_t)r->at.update, "dev_loss", ksk_log_number(evaluation->loss),
                         "dev_bleu", ksk_log_number(evaluation->bleu), "best_update",
                         (json_int_t)r->at.best.update, "seconds", ksk_log_number(seconds(r))),
               err) &&
           ksk_curve_draw(r->log_path, r->curve, err);
}

static bool write_checkpoint(run *r, ksk_error *err)
{
    char *path = ksk_path(r->checkpoints, ksk_checkpoint_name(r->at.update).text);
    const bool ok = path ? ksk_weights_write(ksk_trainer_module(r->trainer), KSK_F32, path, err)
                         : ksk_fail_memory(err);
    ksk_free(path);
    return ok;
}

static bool evaluate_now(run *r, ksk_error *err)
{
    ksk_evaluation evaluation;
    watch(r, "evaluating");
    r->at.evaluated = r->at.update;
    return evaluate(r, ksk_trainer_module(r->trainer), &evaluation, err) &&
           write_checkpoint(r, err) && add_checkpoint(r, &evaluation, err) &&
           log_evaluation(r, "evaluation", &evaluation, err);
}

/* --- the loop -----------------------------------------------------------------------------------
 */

static bool save(run *r, ksk_error *err)
{
    ksk_position saved = r->at;
    saved.seconds = seconds(r);
    if (r->saved == r->at.update)
        return true;
    if (!ksk_log_sync(r->log, &saved.log_length, err) ||
        !ksk_position_save(&saved, r->trainer, r->directory, err))
        return false;
    r->saved = r->at.update;
    return true;
}

static bool is_over(const run *r)
{
    const ksk_recipe *recipe = r->recipe;
    return (recipe->max_updates && r->at.update >= recipe->max_updates) ||
           (recipe->max_epochs && r->at.epoch >= recipe->max_epochs) ||
           (recipe->max_minutes > 0 && seconds(r) >= 60 * recipe->max_minutes) ||
           (recipe->patience && r->at.without_better >= recipe->patience);
}

static bool interrupt(run *r, ksk_error *err)
{
    return save(r, err) &&
           ksk_fail(err, KSK_INTERRUPTED,
                    "stopped after update %lld, which is saved; `kaskad train --resume --out %s` "
                    "goes on",
                    (long long)r->at.update, r->directory);
}

/* Every decision depends on the position alone, so a resumed run takes the same ones. */
static bool train(run *r, ksk_error *err)
{
    for (;;) {
        const bool over = is_over(r);
        if ((over || (r->at.update > 0 && r->at.update % r->recipe->eval_every == 0)) &&
            r->at.evaluated != r->at.update && !evaluate_now(r, err))
            return false;
        if (over || (r->at.update > 0 && r->at.update % r->recipe->save_every == 0))
            if (!save(r, err))
                return false;
        if (over || is_over(r))
            return save(r, err);
        if (!watch(r, "training"))
            return interrupt(r, err);
        if (!update(r, err))
            return false;
    }
}

/* --- the end ------------------------------------------------------------------------------------
 */

static ksk_module *average(run *r, ksk_error *err)
{
    const ksk_position *at = &r->at;
    ksk_file_name *files = ksk_calloc(at->checkpoint_count, sizeof *files);
    const char **names = ksk_calloc(at->checkpoint_count, sizeof *names);
    ksk_module *module = NULL;
    int count = 0;
    for (size_t i = 0; files && names && i < at->checkpoint_count; i++) {
        if (rank(r, i) >= r->recipe->average)
            continue;
        files[count] = ksk_checkpoint_name(at->checkpoints[i].update);
        names[count] = files[count].text;
        count++;
    }
    if (files && names)
        module = ksk_weights_average(r->setup.module, r->checkpoints, names, count, err);
    else
        ksk_fail_memory(err);
    ksk_free(files);
    ksk_free(names);
    return module;
}

static bool write_model(run *r, const ksk_module *module, ksk_error *err)
{
    char *path = ksk_path(r->model, "model.safetensors");
    const ksk_dtype dtype = r->recipe->weights == KSK_WEIGHTS_BF16 ? KSK_BF16 : KSK_F32;
    const bool ok = path ? ksk_weights_write(module, dtype, path, err) : ksk_fail_memory(err);
    ksk_free(path);
    return ok && ksk_describe_proof(r->recipe, r->model, err);
}

static bool end(run *r, ksk_error *err)
{
    ksk_evaluation evaluation;
    watch(r, "averaging");
    ksk_module *module = average(r, err);
    const bool ok = module && evaluate(r, module, &evaluation, err) &&
                    write_model(r, module, err) && log_evaluation(r, "model", &evaluation, err);
    ksk_module_release(module);
    if (!ok)
        return false;
    r->progress.ended = true;
    watch(r, "ended");
    return true;
}

/* --- beginning ----------------------------------------------------------------------------------
 */

static bool make_paths(run *r, ksk_error *err)
{
    r->model = ksk_path(r->directory, "model");
    r->checkpoints = ksk_path(r->directory, "checkpoints");
    r->log_path = ksk_path(r->directory, "log.jsonl");
    r->curve = ksk_path(r->directory, "curve.svg");
    return (r->model && r->checkpoints && r->log_path && r->curve) || ksk_fail_memory(err);
}

/* One process at a time works in a run's directory; the lock goes with the process. */
static bool lock(run *r, ksk_error *err)
{
    r->lock = open(r->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r->lock < 0)
        return ksk_fail(err, KSK_BAD_FILE, "cannot open %s: %s", r->directory, strerror(errno));
    return flock(r->lock, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK ||
           ksk_fail(err, KSK_BAD_FILE, "another process is training in %s", r->directory);
}

static bool make_trainer(run *r, ksk_error *err)
{
    const ksk_recipe *recipe = r->recipe;
    const ksk_step_options options = {
        .dropout = (float)recipe->dropout,
        .objective = {.loss = ksk_recipe_loss(recipe),
                      .argument = ksk_recipe_loss_argument(recipe),
                      .label_smoothing = (float)recipe->label_smoothing},
        .clip_norm = (float)recipe->clip_norm,
        .optimiser = {.type = ksk_optimiser_find(recipe->optimiser),
                      .beta1 = recipe->beta1,
                      .beta2 = recipe->beta2,
                      .epsilon = recipe->epsilon,
                      .weight_decay = recipe->weight_decay},
        .threads = r->setup.threads};
    r->trainer = ksk_trainer_new(r->setup.type, r->setup.module, &r->setup.rules, &options, err);
    return r->trainer != NULL;
}

static bool restore(run *r, ksk_error *err)
{
    if (!ksk_position_restore(&r->at, r->trainer, r->directory, err))
        return false;
    r->saved = r->at.update;
    r->planned = -1;
    return true;
}

/* Which weights come from elsewhere: all of it to the log, the short of it to whoever watches. */
static bool tell_inherited(run *r, ksk_error *err)
{
    if (!r->setup.inherited)
        return true;
    char *note = ksk_inherit_summary(r->setup.inherited, err);
    if (!note)
        return false;
    r->progress.note = note;
    watch(r, "initialising");
    r->progress.note = NULL;
    ksk_free(note);
    return ksk_log_write(r->log, json_incref(r->setup.inherited), err);
}

/* A fresh run's log begins with what it trains; a resumed one's goes on where it was saved. */
static bool open_log(run *r, bool fresh, ksk_error *err)
{
    r->log = ksk_log_open(r->log_path, r->at.log_length, err);
    return r->log &&
           (!fresh || (ksk_log_write(r->log,
                                     json_pack("{s:s, s:I, s:I}", "event", "start", "pairs",
                                               (json_int_t)r->setup.train.count, "parameters",
                                               (json_int_t)ksk_module_parameters(r->setup.module)),
                                     err) &&
                       tell_inherited(r, err)));
}

static bool begin(run *r, ksk_error *err)
{
    const bool fresh = !ksk_position_saved(r->directory);
    if (!fresh && !(r->options && r->options->resume))
        return ksk_fail(err, KSK_BAD_ARGUMENT,
                        "%s holds a run; resume it (--resume), or choose another directory",
                        r->directory);
    return make_paths(r, err) && ksk_directory_make(r->directory, err) && lock(r, err) &&
           ksk_setup_make(&r->setup, r->recipe, r->directory, fresh, watch_setup, r, err) &&
           make_trainer(r, err) && (fresh || restore(r, err)) && open_log(r, fresh, err);
}

/* What was going on, and what is left, said behind the error itself. */
static void explain(const run *r, ksk_error *err)
{
    if (!err || err->status == KSK_INTERRUPTED || r->session_updates == 0)
        return;
    const ksk_error cause = *err;
    if (r->saved >= 0)
        ksk_fail(err, cause.status, "%.300s; update %lld is saved in %.150s", cause.message,
                 (long long)r->saved, r->directory);
}

static void clear(run *r)
{
    ksk_batch_view_clear(&r->view);
    ksk_batches_clear(&r->batches);
    ksk_log_close(r->log);
    ksk_position_clear(&r->at);
    ksk_trainer_free(r->trainer);
    ksk_setup_clear(&r->setup);
    if (r->lock >= 0)
        close(r->lock);
    ksk_free(r->model);
    ksk_free(r->checkpoints);
    ksk_free(r->log_path);
    ksk_free(r->curve);
}

bool ksk_train(const ksk_recipe *recipe, const char *directory, const ksk_train_options *options,
               ksk_train_progress *result, ksk_error *err)
{
    if (!ksk_recipe_check(recipe, err))
        return false;
    run r = {.recipe = recipe,
             .options = options,
             .directory = directory,
             .lock = -1,
             .at = ksk_position_start(),
             .saved = -1,
             .planned = -1,
             .began = ksk_clock_now(),
             .progress = {.loss = NAN, .dev_loss = NAN, .dev_bleu = NAN, .best_bleu = NAN}};
    const bool ok = begin(&r, err) && train(&r, err) && end(&r, err);
    if (!ok)
        explain(&r, err);
    if (result)
        *result = r.progress;
    clear(&r);
    return ok;
}
