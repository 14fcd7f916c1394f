/* Which tensor it was, when the gradient of a step is not finite: the weights that are not, or else, of the
 * gradients, the one that the way back came to first. */
#include <math.h>
#include <stdio.h>

#include "train/trainer.h"

/* By how far a parameter is from the loss: heads are near, the embeddings are far. */
static uint64_t nearness(const rp_parameter *p) {
    return p->tensor + (p->layer >= 0 ? 1ull << 32 : p->above ? 2ull << 32 : 0);
}

static bool all_finite(const float *values, uint64_t count) {
    for (uint64_t i = 0; i < count; i++)
        if (!isfinite(values[i])) return false;
    return true;
}

/* Of the sums of squares that the device left; NULL: each of them is finite, and their sum alone is not. */
static const rp_parameter *find_gradient(const rp_trainer *t) {
    const float *sums = (const float *)((const char *)t->output.mapped + t->out.sums);
    const rp_parameter *found = NULL;
    uint32_t window = 0, block = 0;
    for (size_t i = 0; i < t->parameter_count; i++) {
        const rp_parameter *p = &t->parameters[i];
        if (p->window != window) block = 0;
        window = p->window;
        uint64_t blocks = rp_div_up(p->range.size / 16, RP_BLOCK_TEXELS);
        bool good = all_finite(sums + t->windows[window].first_sum + block, blocks);
        block += (uint32_t)blocks;
        if (!good && (!found || nearness(p) > nearness(found))) found = p;
    }
    return found;
}

/* The same of the weights as they are on the device, whose turn this thread has. */
static rp_status find_weights(const rp_trainer *t, const rp_parameter **found, rp_error *err) {
    rp_store *store = &t->model->on_device.store;
    rp_status status = RP_OK;
    float *piece = malloc(RP_STAGING_BYTES);
    if (!piece) return rp_fail_memory(err, "weights", RP_STAGING_BYTES);
    for (size_t i = 0; !status && i < t->parameter_count; i++) {
        const rp_parameter *p = &t->parameters[i];
        bool good = true;
        for (VkDeviceSize at = 0, some; !status && at < p->range.size; at += some) {
            some = p->range.size - at < RP_STAGING_BYTES ? p->range.size - at : RP_STAGING_BYTES;
            status = rp_store_read(store, p->range, at, some, piece, err);
            good = good && (status || all_finite(piece, some / 4));
        }
        if (!good && (!*found || nearness(p) > nearness(*found))) *found = p;
    }
    free(piece);
    rp_status flushed = rp_store_flush(store, status ? NULL : err);
    return status ? status : flushed;
}

rp_status rp_train_fail_not_finite(const rp_trainer *t, rp_error *err) {
    const rp_parameter *weights = NULL, *p;
    char where[64] = "";
    rp_status status = find_weights(t, &weights, err);
    if (status) return status;
    p = weights ? weights : find_gradient(t);
    if (p && p->layer >= 0) snprintf(where, sizeof where, " of layer %d", p->layer);
    return rp_fail(err, RP_ERROR_UNSUPPORTED,
                   "step %llu: the %s of %s%s %s not finite%s, and no parameter was changed; take a smaller "
                   "learning rate, or a longer warm-up, and go on from what was saved",
                   (unsigned long long)(t->step + 1), weights ? "weights" : "gradient",
                   p ? p->name : "all parameters", where, weights ? "are" : "is",
                   rp_train_in_half(t) ? " with a loss scale of 1" : "");
}
