#include "train/position.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "io/json.h"
#include "kaskad/memory.h"
#include "train/log.h"

static const char index_name[] = "state.json";

ksk_position ksk_position_start(void)
{
    return (ksk_position){.evaluated = -1, .best = {.update = -1}};
}

void ksk_position_clear(ksk_position *position)
{
    ksk_free(position->checkpoints);
    *position = ksk_position_start();
}

static ksk_file_name numbered(const char *stem, int64_t update)
{
    ksk_file_name name;
    snprintf(name.text, sizeof name.text, "%s%08lld.safetensors", stem, (long long)update);
    return name;
}

ksk_file_name ksk_checkpoint_name(int64_t update)
{
    return numbered("", update);
}

/* --- saving -------------------------------------------------------------------------------------
 */

static json_t *pack_checkpoint(const ksk_checkpoint *c)
{
    return json_pack("{s:I, s:o, s:o}", "update", (json_int_t)c->update, "loss",
                     ksk_log_number(c->loss), "bleu", ksk_log_number(c->bleu));
}

static json_t *pack(const ksk_position *p)
{
    json_t *checkpoints = json_array();
    for (size_t i = 0; i < p->checkpoint_count; i++)
        json_array_append_new(checkpoints, pack_checkpoint(&p->checkpoints[i]));
    if (json_array_size(checkpoints) != p->checkpoint_count) {
        json_decref(checkpoints);
        return NULL;
    }
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:f, s:I, s:f, s:I}", "update",
                     (json_int_t)p->update, "epoch", (json_int_t)p->epoch, "batch",
                     (json_int_t)p->batch, "evaluated", (json_int_t)p->evaluated, "without_better",
                     (json_int_t)p->without_better, "best", pack_checkpoint(&p->best),
                     "checkpoints", checkpoints, "loss_sum", p->loss_sum, "loss_tokens",
                     (json_int_t)p->loss_tokens, "seconds", p->seconds, "log_length",
                     (json_int_t)p->log_length);
}

/* Removes the files of a directory that `needed` does not name; ones that stay do no harm. */
static void sweep(const char *directory, bool (*needed)(const void *context, const char *name),
                  const void *context)
{
    DIR *listing = opendir(directory);
    for (const struct dirent *entry; listing && (entry = readdir(listing));) {
        char *path = strstr(entry->d_name, ".safetensors") && !needed(context, entry->d_name)
                         ? ksk_path(directory, entry->d_name)
                         : NULL;
        if (path)
            unlink(path);
        ksk_free(path);
    }
    if (listing)
        closedir(listing);
}

static bool is_name(const void *context, const char *name)
{
    return strcmp(context, name) == 0;
}

static bool is_checkpoint(const void *context, const char *name)
{
    const ksk_position *position = context;
    for (size_t i = 0; i < position->checkpoint_count; i++)
        if (strcmp(ksk_checkpoint_name(position->checkpoints[i].update).text, name) == 0)
            return true;
    return false;
}

bool ksk_position_save(const ksk_position *position, const ksk_trainer *trainer,
                       const char *directory, ksk_error *err)
{
    const ksk_file_name name = numbered("trainer-", position->update);
    char *state = ksk_path(directory, "state"), *checkpoints = ksk_path(directory, "checkpoints");
    char *file = state ? ksk_path(state, name.text) : NULL;
    json_t *object = pack(position);
    bool ok = (file && checkpoints && object) || ksk_fail_memory(err);
    ok = ok && ksk_trainer_save(trainer, file, err) &&
         ksk_json_write(state, index_name, object, err);
    if (ok) {
        sweep(state, is_name, name.text);
        sweep(checkpoints, is_checkpoint, position);
    }
    json_decref(object);
    ksk_free(file);
    ksk_free(state);
    ksk_free(checkpoints);
    return ok;
}

/* --- restoring ----------------------------------------------------------------------------------
 */

bool ksk_position_saved(const char *directory)
{
    char *state = ksk_path(directory, "state");
    char *file = state ? ksk_path(state, index_name) : NULL;
    const bool found = file && access(file, F_OK) == 0;
    ksk_free(file);
    ksk_free(state);
    return found;
}

static double number_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static bool unpack_checkpoint(const json_t *object, ksk_checkpoint *c)
{
    json_int_t update;
    if (json_unpack((json_t *)object, "{s:I}", "update", &update) != 0)
        return false;
    *c = (ksk_checkpoint){update, number_of(object, "loss"), number_of(object, "bleu")};
    return update >= -1;
}

static bool unpack(json_t *object, ksk_position *p)
{
    json_int_t update, epoch, batch, evaluated, without_better, loss_tokens, log_length;
    json_t *best, *checkpoints, *item;
    size_t index;
    if (json_unpack(object, "{s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:F, s:I, s:F, s:I}", "update",
                    &update, "epoch", &epoch, "batch", &batch, "evaluated", &evaluated,
                    "without_better", &without_better, "best", &best, "checkpoints", &checkpoints,
                    "loss_sum", &p->loss_sum, "loss_tokens", &loss_tokens, "seconds", &p->seconds,
                    "log_length", &log_length) != 0 ||
        !json_is_array(checkpoints) || !unpack_checkpoint(best, &p->best))
        return false;
    p->update = update;
    p->epoch = epoch;
    p->batch = batch;
    p->evaluated = evaluated;
    p->without_better = without_better;
    p->loss_tokens = loss_tokens;
    p->log_length = log_length;
    if (!ksk_grow(&p->checkpoints, &p->checkpoint_room, json_array_size(checkpoints),
                  sizeof *p->checkpoints))
        return false;
    json_array_foreach(checkpoints, index, item)
    {
        if (!unpack_checkpoint(item, &p->checkpoints[index]))
            return false;
        p->checkpoint_count++;
    }
    return update >= 0 && epoch >= 0 && batch >= 0 && log_length >= 0;
}

bool ksk_position_restore(ksk_position *position, ksk_trainer *trainer, const char *directory,
                          ksk_error *err)
{
    char *state = ksk_path(directory, "state"), *file = NULL;
    json_t *object = state ? ksk_json_read(state, index_name, &file, err) : NULL;
    bool ok = object || (state ? false : ksk_fail_memory(err));
    ok = ok && (unpack(object, position) ||
                ksk_fail(err, KSK_BAD_FORMAT, "%s is not the state of a run", file));
    ok =
        ok && ksk_trainer_restore(trainer, state, numbered("trainer-", position->update).text, err);
    if (ok && ksk_trainer_updates(trainer) != position->update)
        ok = ksk_fail(err, KSK_BAD_FORMAT, "%s and the trainer's state are of different updates",
                      file);
    json_decref(object);
    ksk_free(file);
    ksk_free(state);
    return ok;
}
