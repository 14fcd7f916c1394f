/* A trainer that is one of several: the ranks of a world step together, each with its part of the batch. Each
 * has the whole model, and makes the same update by the same sums of gradients. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <math.h>
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

/* The commands of `all`, piece by piece. */
static rp_status record_pieces(rp_trainer *t, rp_range all, rp_train_piece *pieces, uint32_t *count,
                               rp_error *err) {
    rp_status status = RP_OK;
    for (VkDeviceSize left = all.size; !status && left; left -= all.size) {
        rp_train_piece *piece = &pieces[(*count)++];
        all.size = piece->bytes = left < PIECE_BYTES ? left : PIECE_BYTES;
        rp_range shared = rp_buffer_range(&t->ranks.shared, 0, all.size);
        status = record_copy(t, all, shared, &piece->out, err);
        if (!status) status = record_copy(t, shared, all, &piece->in, err);
        all.offset += all.size;
    }
    return status;
}

static uint64_t vector_floats(const rp_trainer *t) {
    return rp_padded(t->model->config.hidden_size);
}

static rp_range gathered(const rp_trainer *t) {
    rp_range range = t->buffers.vectors;
    range.size = rp_train_gathers(t) ? 2ull * t->pairs * vector_floats(t) * sizeof(float) : 0;
    return range;
}

static rp_status make_room(rp_trainer *t, uint64_t pieces, uint64_t most, rp_error *err) {
    rp_train_ranks *ranks = &t->ranks;
    uint64_t vectors = rp_div_up(gathered(t).size, PIECE_BYTES);
    bool tells = rp_train_gathers(t) && t->params.taught;
    rp_status status;
    ranks->pieces = rp_new_array(rp_train_piece, pieces);
    ranks->vectors = rp_new_array(rp_train_piece, vectors + 1);
    ranks->learnt = tells ? rp_new_array(float, t->pairs) : NULL;
    if (!ranks->pieces || !ranks->vectors || (tells && !ranks->learnt))
        return rp_fail_memory(err, "gradients", (pieces + vectors) * sizeof *ranks->pieces);
    RP_TRY(rp_world_reserve(t->params.world, most / sizeof(float), err));
    status = rp_buffer_create(t->device, most, RP_MEMORY_OUTPUT, "gradients", &ranks->shared, err);
done:
    return status;
}

rp_status rp_train_create_ranks(rp_trainer *t, rp_error *err) {
    rp_train_ranks *ranks = &t->ranks;
    VkDeviceSize count = 0, most = gathered(t).size;
    rp_status status = RP_OK;
    if (!t->params.world) return RP_OK;
    for (uint32_t i = 0; i < t->window_count; i++) {
        VkDeviceSize size = t->windows[i].gradient.size;
        count += rp_div_up(size, PIECE_BYTES);
        if (size > most) most = size;
    }
    if (most > PIECE_BYTES) most = PIECE_BYTES;
    if (most < t->pairs * sizeof(float)) most = t->pairs * sizeof(float);
    status = make_room(t, count, most, err);
    for (uint32_t i = 0; !status && i < t->window_count; i++)
        status = record_pieces(t, t->windows[i].gradient, ranks->pieces, &ranks->piece_count, err);
    return status ? status : record_pieces(t, gathered(t), ranks->vectors, &ranks->vector_count, err);
}

void rp_train_drop_ranks(rp_trainer *t) {
    rp_buffer_destroy(t->device, &t->ranks.shared);
    free(t->ranks.pieces);
    free(t->ranks.vectors);
    free(t->ranks.learnt);
    t->ranks.pieces = t->ranks.vectors = NULL;
    t->ranks.learnt = NULL;
    t->ranks.piece_count = t->ranks.vector_count = 0;
}

/* The numbers of a piece that count, and those of them that are this rank's: the others it has not. */
typedef struct part_of_piece {
    uint64_t count, begin, end;
} part_of_piece;

/* Through memory that the host sees, since MPI knows no device. `status` is how the piece before came back.
 */
static rp_status add_up_piece(rp_trainer *t, const rp_train_piece *piece, part_of_piece part,
                              rp_status status, rp_train_result *out, rp_error *err) {
    rp_buffer *shared = &t->ranks.shared;
    float *numbers = shared->mapped;
    if (!status) status = rp_device_submit(t->device, &piece->out, 1, t->fence, err);
    if (!status) status = rp_buffer_invalidate(t->device, shared, piece->bytes, err);
    memset(numbers, 0, part.begin * sizeof *numbers);
    memset(numbers + part.end, 0, (part.count - part.end) * sizeof *numbers);
    RP_TRY(rp_world_meet(t->params.world, RP_MEET_PIECE, status, NULL, 0, err));
    RP_TRY(rp_world_sum(t->params.world, numbers, part.count, err));
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
    for (uint32_t i = 0; i < t->ranks.piece_count && !rp_world_agreed(world); i++) {
        const rp_train_piece *piece = &t->ranks.pieces[i];
        uint64_t count = piece->bytes / sizeof(float);
        status = add_up_piece(t, piece, (part_of_piece){count, 0, count}, status, out, err);
    }
    return status;
}

/* A device that finds the same sums finite skips no step that another one skips, and the other way round. */
rp_status rp_train_join_update(rp_trainer *t, float total, rp_status status, rp_error *err) {
    rp_world *world = t->params.world;
    status = rp_world_meet(world, RP_MEET_UPDATE, status, &total, sizeof total, err);
    for (uint32_t r = 0; !status && r < rp_world_size(world); r++) {
        float theirs;
        memcpy(&theirs, rp_world_note(world, r), sizeof theirs);
        if (!isfinite(theirs) != !isfinite(total))
            status = rp_fail(err, RP_ERROR_UNSUPPORTED,
                             "rank %u: the gradient is %s, and %s on the device of rank %u: take devices of "
                             "one kind, or --precision f32",
                             rp_world_rank(world), isfinite(total) ? "finite" : "not finite",
                             isfinite(theirs) ? "finite" : "not finite", r);
    }
    return status;
}

/* ---- vectors ---- */

/* `at`, as a number of the piece that begins with number `first` and has `count`. */
static uint64_t within(uint64_t at, uint64_t first, uint64_t count) {
    return at < first ? 0 : at - first < count ? at - first : count;
}

rp_status rp_train_join_vectors(rp_trainer *t, const rp_train_batch *batch, rp_train_result *out,
                                rp_status status, rp_error *err) {
    rp_world *world = t->params.world;
    const uint64_t width = vector_floats(t), used = t->ranks.sequences * width,
                   begin = t->ranks.first_sequence * width, end = begin + batch->count * width;
    status = rp_world_meet(world, RP_MEET_VECTORS, status, NULL, 0, err);
    if (status) return status;
    if (t->ranks.learnt) {
        rp_train_say_learnt(t, batch);
        status = rp_world_sum(world, t->ranks.learnt, t->pairs, err);
    }
    uint64_t first = 0;
    for (uint32_t i = 0; first < used && !rp_world_agreed(world); i++) {
        const rp_train_piece *piece = &t->ranks.vectors[i];
        uint64_t all = piece->bytes / sizeof(float), count = within(used, first, all);
        const part_of_piece part = {count, within(begin, first, count), within(end, first, count)};
        status = add_up_piece(t, piece, part, status, out, err);
        first += all;
    }
    return status;
}

/* ---- before a step ---- */

typedef struct step_note {
    uint64_t step, settings, weights; /* that are equal in all ranks */
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

/* A hash of all that decides what a step makes of gradients, which have the loss scale in them. */
static uint64_t hash_settings(const rp_trainer *t) {
    const rp_trainer_params *p = &t->params;
    const double settings[] = {t->head,
                               t->problem,
                               p->vectors,
                               p->taught,
                               t->pairs,
                               p->optimizer,
                               p->schedule,
                               p->precision,
                               p->freeze,
                               p->learning_rate,
                               p->beta1,
                               p->beta2,
                               p->eps,
                               p->power,
                               p->weight_decay,
                               p->max_grad_norm,
                               p->label_smoothing,
                               p->label_weight,
                               (double)p->warmup_steps,
                               (double)p->total_steps,
                               p->hidden_dropout,
                               p->attention_dropout,
                               p->classifier_dropout,
                               t->scale.scale,
                               t->scale.good,
                               (double)t->scale.skipped};
    return XXH64(settings, sizeof settings, p->seed);
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
        if (theirs.settings != mine->settings)
            return rp_fail(err, RP_ERROR_ARGUMENT,
                           "rank %u and rank %u have opened their trainers with other params: all ranks take "
                           "the same, of the optimizer and its schedule, dropout, the seed, what is learnt "
                           "and in which precision",
                           rp_world_rank(t->params.world), r);
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
    rp_status status = t->params.vectors ? rp_train_check_pairs(t, t->ranks.sequences, err) : RP_OK;
    if (status) return status;
    for (size_t i = 0; i < RP_COUNT(labels->counted); i++) all += labels->counted[i];
    if (all || (t->ranks.sequences && t->params.taught)) return RP_OK;
    return rp_fail(err, RP_ERROR_ARGUMENT, "rp_trainer_step: the batch has no label to learn");
}

rp_status rp_train_join_step(rp_trainer *t, const rp_train_batch *batch, rp_train_labels *labels,
                             rp_status status, rp_error *err) {
    rp_world *world = t->params.world;
    step_note mine = {.step = t->step, .settings = hash_settings(t)};
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
