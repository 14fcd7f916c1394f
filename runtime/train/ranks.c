/* A trainer that is one of several: the ranks of a world step together, each with its part of the batch. Each
 * has the whole model, and makes the same update by the same sums of gradients. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <string.h>

#include "train/trainer.h"
#include "train/world.h"

enum { PIECE_BYTES = 16 << 20 }; /* of gradients that are added up at once */

/* ---- gradients ---- */

static rp_status record_copy(rp_trainer *t, rp_range from, rp_range to, VkCommandBuffer *out, rp_error *err) {
    rp_recorder *recorder = &t->ops.recorder;
    rp_status status = rp_record_begin(recorder, "gradient", out, err);
    if (status) return status;
    rp_record_copy(recorder, *out, from, to);
    return rp_record_end(recorder, *out, err);
}

static rp_status record_piece(rp_trainer *t, rp_range gradient, rp_error *err) {
    rp_train_ranks *ranks = &t->ranks;
    rp_train_piece *piece = &ranks->pieces[ranks->piece_count++];
    rp_range shared = rp_buffer_range(&ranks->shared, 0, gradient.size);
    piece->bytes = gradient.size;
    rp_status status = record_copy(t, gradient, shared, &piece->out, err);
    return status ? status : record_copy(t, shared, gradient, &piece->in, err);
}

rp_status rp_train_create_ranks(rp_trainer *t, rp_error *err) {
    rp_train_ranks *ranks = &t->ranks;
    VkDeviceSize count = 0, most = 0;
    rp_status status = RP_OK;
    if (!t->params.world) return RP_OK;
    for (uint32_t i = 0; i < t->window_count; i++) {
        VkDeviceSize size = t->windows[i].gradient.size;
        count += rp_div_up(size, PIECE_BYTES);
        if (size > most) most = size < PIECE_BYTES ? size : PIECE_BYTES;
    }
    ranks->pieces = rp_new_array(rp_train_piece, count);
    if (!ranks->pieces) return rp_fail_memory(err, "gradients", count * sizeof *ranks->pieces);
    RP_TRY(rp_world_reserve(t->params.world, most / 4, err));
    RP_TRY(rp_buffer_create(t->device, most, RP_MEMORY_OUTPUT, "gradients", &ranks->shared, err));
    for (uint32_t i = 0; i < t->window_count; i++) {
        rp_range gradient = t->windows[i].gradient;
        for (VkDeviceSize left = gradient.size; left; left -= gradient.size) {
            gradient.size = left < PIECE_BYTES ? left : PIECE_BYTES;
            RP_TRY(record_piece(t, gradient, err));
            gradient.offset += gradient.size;
        }
    }
done:
    return status;
}

void rp_train_drop_ranks(rp_trainer *t) {
    rp_buffer_destroy(t->device, &t->ranks.shared);
    free(t->ranks.pieces);
    t->ranks.pieces = NULL;
    t->ranks.piece_count = 0;
}

/* Through memory that the host sees, since MPI knows no device. `status` is how the piece before came back.
 */
static rp_status add_up_piece(rp_trainer *t, const rp_train_piece *piece, rp_status status,
                              rp_train_result *out, rp_error *err) {
    rp_buffer *shared = &t->ranks.shared;
    if (!status) status = rp_device_submit(t->device, &piece->out, 1, t->fence, err);
    if (!status) status = rp_buffer_invalidate(t->device, shared, piece->bytes, err);
    RP_TRY(rp_world_meet(t->params.world, RP_MEET_PIECE, status, NULL, 0, err));
    RP_TRY(rp_world_sum(t->params.world, shared->mapped, piece->bytes / 4, err));
    RP_TRY(rp_buffer_flush(t->device, shared, piece->bytes, err));
    status = rp_device_submit(t->device, &piece->in, 1, t->fence, err);
    out->submissions += 2;
done:
    return status;
}

typedef struct gradient_note {
    double loss, mlm_loss, mlm_accuracy, sop_loss, sop_accuracy;
} gradient_note;

rp_status rp_train_join_gradients(rp_trainer *t, rp_train_result *out, rp_status status, rp_error *err) {
    rp_world *world = t->params.world;
    const gradient_note mine = {out->loss, out->mlm_loss, out->mlm_accuracy, out->sop_loss,
                                out->sop_accuracy};
    gradient_note all = {0};
    if (!world) return status;
    status = rp_world_meet(world, RP_MEET_GRADIENT, status, &mine, sizeof mine, err);
    if (status) return status;
    for (uint32_t r = 0; r < rp_world_size(world); r++) {
        gradient_note n;
        memcpy(&n, rp_world_note(world, r), sizeof n);
        all = (gradient_note){all.loss + n.loss, all.mlm_loss + n.mlm_loss, all.mlm_accuracy + n.mlm_accuracy,
                              all.sop_loss + n.sop_loss, all.sop_accuracy + n.sop_accuracy};
    }
    out->loss = all.loss;
    out->mlm_loss = all.mlm_loss;
    out->mlm_accuracy = all.mlm_accuracy;
    out->sop_loss = all.sop_loss;
    out->sop_accuracy = all.sop_accuracy;
    for (uint32_t i = 0; i < t->ranks.piece_count && !rp_world_agreed(world); i++)
        status = add_up_piece(t, &t->ranks.pieces[i], status, out, err);
    return status;
}

/* ---- before a step ---- */

typedef struct step_note {
    uint64_t step, weights; /* that are equal in all ranks */
    uint64_t counted[RP_COUNT(((rp_train_labels *)0)->counted)];
    uint64_t sequences, tokens;
} step_note;
_Static_assert(sizeof(step_note) <= RP_NOTE_BYTES && sizeof(gradient_note) <= RP_NOTE_BYTES, "they fit");

/* A hash of all weights as they are on the device, whose turn this thread has. */
static rp_status hash_weights(rp_trainer *t, uint64_t *out, rp_error *err) {
    rp_store *store = &t->model->on_device.store;
    rp_status status = RP_OK;
    void *piece = malloc(RP_STAGING_BYTES);
    if (!piece) return rp_fail_memory(err, "weights", RP_STAGING_BYTES);
    for (uint32_t i = 0; !status && i < t->window_count; i++) {
        rp_range range = t->windows[i].weights;
        for (VkDeviceSize at = 0, some; !status && at < range.size; at += some) {
            some = range.size - at < RP_STAGING_BYTES ? range.size - at : RP_STAGING_BYTES;
            status = rp_store_read(store, range, at, some, piece, err);
            *out = XXH64(piece, (size_t)some, *out);
        }
    }
    free(piece);
    rp_status flushed = rp_store_flush(store, status ? NULL : err);
    return status ? status : flushed;
}

static rp_status compare(const rp_trainer *t, const step_note *mine, rp_error *err) {
    for (uint32_t r = 0; r < rp_world_size(t->params.world); r++) {
        step_note theirs;
        memcpy(&theirs, rp_world_note(t->params.world, r), sizeof theirs);
        if (theirs.step != mine->step || theirs.weights != mine->weights)
            return rp_fail(err, RP_ERROR_ARGUMENT,
                           "rank %u is at step %llu and rank %u at step %llu, or their weights differ: all "
                           "ranks begin with the same model, of the same seed",
                           rp_world_rank(t->params.world), (unsigned long long)mine->step + 1, r,
                           (unsigned long long)theirs.step + 1);
    }
    return RP_OK;
}

static rp_status add_up_notes(rp_trainer *t, rp_train_labels *labels, rp_error *err) {
    uint64_t all = 0;
    t->ranks.sequences = t->ranks.tokens = t->ranks.first_sequence = t->ranks.first_token = 0;
    memset(labels->counted, 0, sizeof labels->counted);
    for (uint32_t r = 0; r < rp_world_size(t->params.world); r++) {
        step_note n;
        memcpy(&n, rp_world_note(t->params.world, r), sizeof n);
        if (r == rp_world_rank(t->params.world)) {
            t->ranks.first_sequence = t->ranks.sequences;
            t->ranks.first_token = t->ranks.tokens;
        }
        t->ranks.sequences += n.sequences;
        t->ranks.tokens += n.tokens;
        for (size_t i = 0; i < RP_COUNT(n.counted); i++) labels->counted[i] += n.counted[i];
    }
    for (size_t i = 0; i < RP_COUNT(labels->counted); i++) all += labels->counted[i];
    if (all || (t->ranks.sequences && t->params.taught)) return RP_OK;
    return rp_fail(err, RP_ERROR_ARGUMENT, "rp_trainer_step: the batch has no label to learn");
}

rp_status rp_train_join_step(rp_trainer *t, const rp_train_batch *batch, rp_train_labels *labels,
                             rp_status status, rp_error *err) {
    rp_world *world = t->params.world;
    step_note mine = {.step = t->step};
    if (!status) t->ranks.sequences = batch->count;
    if (!world) return status;
    if (!status && !t->ranks.compared) status = hash_weights(t, &mine.weights, err);
    if (!status) {
        memcpy(mine.counted, labels->counted, sizeof mine.counted);
        mine.sequences = batch->count;
        for (size_t i = 0; i < batch->count; i++) mine.tokens += batch->sequences[i].count;
    }
    status = rp_world_meet(world, RP_MEET_STEP, status, &mine, sizeof mine, err);
    if (!status) status = compare(t, &mine, err);
    if (status) return status;
    t->ranks.compared = true;
    return add_up_notes(t, labels, err);
}
