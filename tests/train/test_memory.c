/* Memory that runs out in a training step, from making the trainer to writing its state: an error
 * comes back, nothing is left behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fault.h"
#include "small.h"

/* Files are written thousands of times, and nobody waits for a disk. */
int fsync(int fd)
{
    return fd < 0 ? -1 : 0;
}

typedef struct training {
    small model;
    small_batch batch;
    const ksk_optimiser_type *optimiser;
    int threads;
    char path[64];
} training;

static bool step(const training *t, ksk_trainer *trainer, ksk_error *err)
{
    double loss, norm;
    int64_t tokens;
    return ksk_trainer_accumulate(trainer, &t->batch.batch, ksk_key_from_seed(5), &loss, &tokens,
                                  err) &&
           ksk_trainer_update(trainer, 0.01F, &norm, err) &&
           ksk_trainer_loss(trainer, &t->batch.batch, &loss, &tokens, err) &&
           ksk_trainer_save(trainer, t->path, err);
}

static bool train(void *context, ksk_error *err)
{
    const training *t = context;
    const ksk_step_options options = {.dropout = 0.1F,
                                      .objective.label_smoothing = 0.1F,
                                      .clip_norm = 1,
                                      .optimiser = ksk_optimiser_defaults(t->optimiser),
                                      .threads = t->threads};
    ksk_trainer *trainer =
        ksk_trainer_new(t->model.type, t->model.module, &t->model.rules, &options, err);
    const bool ok = trainer && step(t, trainer, err);
    ksk_trainer_free(trainer);
    return ok;
}

static void sweep(const ksk_optimiser_type *optimiser, int threads)
{
    training t = {.model = small_recorded(), .optimiser = optimiser, .threads = threads};
    snprintf(t.path, sizeof t.path, "/tmp/kaskad-step-%ld.safetensors", (long)getpid());
    small_recorded_batch(&t.batch);
    const long count = fault_sample(train, &t, 15);
    print_message("%s: at least %ld allocations\n", optimiser->name, count);
    assert_true(count > 1000);
    assert_int_equal(unlink(t.path), 0);
    small_clear(&t.model);
}

static void test_adam(void **state)
{
    sweep(&ksk_adam, 1);
}

static void test_two_threads(void **state)
{
    sweep(ksk_built_in_optimisers[0], 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_adam),
        cmocka_unit_test(test_two_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
