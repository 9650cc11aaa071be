/* A tree with its matrices packed. */
#include <stdatomic.h>
#include <string.h>

#include "base/pool.h"
#include "kaskad/memory.h"
#include "tensor/module.h"
#include "tensor/packing.h"

/* Leaves are taken by the threads one after the other. */
typedef struct packing_job {
    const ksk_module *module;
    const ksk_kernels *kernels;
    ksk_precision precision;
    int count;
    ksk_tensor **leaves; /* [count] */
    atomic_int next;
    atomic_bool failed;
    ksk_error error; /* of the thread that failed first */
} packing_job;

/* The weight of a layer that multiplies with it or takes rows from it. */
static bool is_weight(const ksk_module *module, int leaf)
{
    const ksk_module *owner = ksk_module_owner(module, &leaf);
    const char *type = ksk_module_type(owner);
    return strcmp(ksk_module_own_name(owner, leaf), "weight") == 0 &&
           (strcmp(type, "Linear") == 0 || strcmp(type, "Embedding") == 0);
}

static void pack_leaves(void *context, int slice)
{
    (void)slice;
    packing_job *job = context;
    for (int i; (i = atomic_fetch_add(&job->next, 1)) < job->count && !atomic_load(&job->failed);) {
        const ksk_tensor *leaf = ksk_module_leaf(job->module, i);
        ksk_error err = {0};
        job->leaves[i] = is_weight(job->module, i)
                             ? ksk_pack(job->kernels, job->precision,
                                        ksk_packing_steps(job->kernels), leaf, &err)
                             : ksk_tensor_share(leaf);
        if (!job->leaves[i] && !atomic_exchange(&job->failed, true))
            job->error = err;
    }
}

static ksk_module *pack_tree(packing_job *job, int threads, ksk_error *err)
{
    ksk_pool *pool = threads > 1 ? ksk_pool_new(threads, err) : NULL;
    if (threads > 1 && !pool)
        return NULL;
    ksk_pool_run(pool, ksk_pool_threads(pool), pack_leaves, job);
    ksk_pool_free(pool);
    if (!atomic_load(&job->failed))
        return ksk_module_unflatten(job->module, (const ksk_tensor *const *)job->leaves, err);
    ksk_fail(err, job->error.status, "%s", job->error.message);
    return NULL;
}

ksk_module *ksk_module_pack(const ksk_module *module, const ksk_kernels *kernels,
                            ksk_precision precision, int threads, ksk_error *err)
{
    packing_job job = {.module = module,
                       .kernels = kernels,
                       .precision = precision,
                       .count = ksk_module_leaves(module)};
    job.leaves = ksk_calloc((size_t)job.count, sizeof(ksk_tensor *));
    if (!job.leaves) {
        ksk_fail_memory(err);
        return NULL;
    }
    ksk_module *packed = pack_tree(&job, threads, err);
    for (int i = 0; i < job.count; i++)
        ksk_tensor_release(job.leaves[i]);
    ksk_free(job.leaves);
    return packed;
}
