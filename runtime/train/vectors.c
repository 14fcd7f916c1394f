/* Vectors of texts that learn: how they are pooled, compared with each other, and back. */
#include <math.h>
#include <string.h>

#include "ops/class.h"
#include "train/trainer.h"

static const float SCALE = 20; /* of cosines, as in sentence-transformers */

static bool is_scored(const rp_trainer *t) {
    return t->params.vectors == RP_VECTORS_SCORED;
}

bool rp_train_gathers(const rp_trainer *t) {
    return t->params.world && t->params.vectors == RP_VECTORS_IN_BATCH;
}

/* The first text of this process among all that are compared. */
static size_t first_text(const rp_trainer *t) {
    return rp_train_gathers(t) ? (size_t)t->ranks.first_sequence : 0;
}

uint32_t rp_train_first_vector(const rp_trainer *t, const rp_train_part *part) {
    return (uint32_t)(first_text(t) + part->first);
}

rp_status rp_train_choose_pooling(rp_trainer *t, rp_error *err) {
    t->model->config.makes_vectors = true;
    const rp_pooling_config *folder = &t->model->pooling;
    if (t->model->pooling_error.status)
        return rp_fail(err, t->model->pooling_error.status, "%s", t->model->pooling_error.message);
    bool other = folder->modes && folder->modes != RP_POOL_MEAN && folder->modes != RP_POOL_CLS;
    for (size_t i = 0; i < folder->module_count; i++)
        other = other || folder->modules[i].kind != RP_MODULE_NORMALIZE;
    t->first_token = folder->modes == RP_POOL_CLS;
    return !other
               ? RP_OK
               : rp_fail(err, RP_ERROR_UNSUPPORTED,
                         "%s: modules.json: vectors can be trained where they are the mean of all tokens or "
                         "the first one, perhaps with a Normalize, and not with other modules",
                         t->model->dir);
}

/* ---- forwards ---- */

/* Rows between a micro-batch and the step: head_state has as its layer the first row. */
static void place(const rp_trainer *t, rp_train_list *list, rp_rows_variant variant, rp_range from,
                  rp_range to) {
    rp_op *op = rp_train_next(list, &rp_class_rows, "vectors", RP_COUNT_SEQUENCES);
    op->variant = variant;
    op->width = t->model->config.hidden_size;
    op->fixed = 1;
    op->state = rp_train_input(t, t->at.head_state, sizeof(rp_train_state));
    op->x = from;
    op->out = to;
}

void rp_train_describe_vectors(const rp_trainer *t, rp_train_list *out) {
    const rp_train_buffers *b = &t->buffers;
    out->count = 0;
    rp_op *pool =
        rp_train_next(out, t->first_token ? &rp_class_gather : &rp_class_pool, "vectors", RP_COUNT_SEQUENCES);
    pool->width = t->model->config.hidden_size;
    pool->x = b->hidden;
    pool->list = rp_train_starts(t);
    pool->out = b->pooled;
    place(t, out, RP_ROWS_STASH, b->pooled, b->vectors);
}

/* ---- the loss ---- */

static rp_op *compare(const rp_trainer *t, rp_train_list *list, rp_similarity_variant variant) {
    const rp_train_buffers *b = &t->buffers;
    rp_op *op = rp_train_next(list, &rp_class_similarity, "cosines", RP_COUNT_ROWS);
    op->variant = variant + (is_scored(t) ? 1 : 0);
    op->width = is_scored(t) ? 1 : t->pairs;
    op->x_stride = rp_padded(t->model->config.hidden_size);
    op->rate = is_scored(t) ? 1 : SCALE;
    op->x = b->vectors;
    op->stats = b->inverse;
    return op;
}

/* Add the gradient of the distance to the teacher's vectors, which takes the place of the vectors. */
static void describe_teacher(const rp_trainer *t, rp_train_list *list) {
    const rp_train_buffers *b = &t->buffers;
    rp_op *taught = rp_train_next(list, &rp_class_loss, "teacher", (rp_count)RP_TRAIN_COUNT_VECTORS);
    taught->variant = RP_LOSS_SQUARES;
    taught->width = t->model->config.hidden_size;
    taught->x = b->vectors;
    taught->out = b->vectors;
    taught->tiles = rp_train_input(t, t->at.taught, t->at.segments - t->at.taught);
    taught->stats = rp_buffer_range(&t->output, t->out.taught, t->pairs * 16ull);
    rp_op *sum = rp_train_next(list, &rp_class_rows, "teacher", (rp_count)RP_TRAIN_COUNT_VECTORS);
    sum->variant = RP_ROWS_ADD;
    sum->width = taught->width;
    sum->x = b->vectors;
    sum->out = b->d_vectors;
}

void rp_train_describe_vectors_loss(const rp_trainer *t, rp_train_list *out) {
    const rp_train_buffers *b = &t->buffers;
    out->count = 0;
    compare(t, out, RP_SIMILARITY_ALL)->out = b->scores;
    rp_op *loss = rp_train_next(out, &rp_class_loss, "loss",
                                is_scored(t) ? RP_COUNT_ROWS : (rp_count)RP_TRAIN_COUNT_SEGMENTS);
    loss->variant = is_scored(t) ? RP_LOSS_SQUARES : RP_LOSS_SEGMENTS;
    loss->width = is_scored(t) ? 1 : t->pairs;
    loss->x = b->scores;
    loss->out = b->d_scores;
    if (!is_scored(t)) loss->list = rp_train_input(t, t->at.segments, 8);
    loss->tiles = rp_train_input(t, t->at.wanted, t->at.taught - t->at.wanted);
    loss->stats = rp_buffer_range(&t->output, t->out.losses, t->out.total - t->out.losses);
    loss->rate = is_scored(t) ? 0 : (float)t->params.label_smoothing;
    rp_op *back = compare(t, out, RP_SIMILARITY_ALL_GRADIENT);
    back->dy = b->d_scores;
    back->out = b->d_vectors;
    if (t->params.taught) describe_teacher(t, out);
}

/* ---- back ---- */

void rp_train_describe_vectors_back(const rp_trainer *t, rp_train_list *out) {
    const rp_train_buffers *b = &t->buffers;
    out->count = 0;
    place(t, out, RP_ROWS_UNSTASH, b->d_vectors, b->d_pooled);
    rp_op *spread = rp_train_next(out, &rp_class_rows, "vectors", RP_COUNT_TOKENS);
    spread->variant = RP_ROWS_SET_FROM;
    spread->width = t->model->config.hidden_size;
    spread->x = b->d_pooled;
    spread->list = rp_train_input(t, t->at.first, t->tokens * 8ull);
    spread->out = b->d_hidden;
}

/* ---- a batch ---- */

/* Is pair `i` learnt as its labels say? */
static bool is_learnt(const rp_trainer *t, const rp_train_batch *b, size_t i) {
    return !t->params.taught || !b->labels || b->labels[i] >= 0;
}

rp_status rp_train_check_pairs(const rp_trainer *t, uint64_t sequences, rp_error *err) {
    if (sequences % 2 == 0 && sequences / 2 <= t->pairs) return RP_OK;
    return rp_fail(err, RP_ERROR_ARGUMENT,
                   "rp_trainer_step: %llu sequences are not from 1 to %u pairs; make the batch smaller, or "
                   "max_batch_pairs larger",
                   (unsigned long long)sequences, t->pairs);
}

rp_status rp_train_check_vectors(const rp_trainer *t, const rp_train_batch *b, rp_train_labels *out,
                                 rp_error *err) {
    rp_status status = rp_train_check_pairs(t, b->count, err);
    if (status) return status;
    for (size_t i = 0; is_scored(t) && i < b->count / 2; i++)
        if (!isfinite(b->targets[i]))
            return rp_fail(err, RP_ERROR_ARGUMENT, "rp_trainer_step: targets[%zu] is not finite", i);
    for (size_t i = 0; i < b->count / 2; i++) out->counted[0] += is_learnt(t, b, i);
    return RP_OK;
}

void rp_train_say_learnt(rp_trainer *t, const rp_train_batch *b) {
    size_t first = first_text(t) / 2;
    for (uint32_t i = 0; i < t->pairs; i++)
        t->ranks.learnt[i] = i >= first && i - first < b->count / 2 && is_learnt(t, b, i - first);
}

/* The vectors of the teacher, and a weight for each; those of other processes are theirs to learn. */
static void write_teacher(rp_trainer *t, const rp_train_batch *b) {
    size_t width = t->model->config.hidden_size, first = first_text(t), end = first + b->count;
    uint32_t weight = rp_float_bits((float)(t->scale.scale / ((double)t->ranks.sequences * (double)width)));
    uint32_t *to = (uint32_t *)((char *)t->input.mapped + t->at.taught);
    memset(to, 0, first * (1 + width) * sizeof *to);
    to += first * (1 + width);
    for (size_t i = 0; i < b->count; i++, to += 1 + width) {
        *to = weight;
        memcpy(to + 1, b->teacher + i * width, width * sizeof *to);
    }
    if (end < t->ranks.sequences) memset(to, 0, (t->ranks.sequences - end) * (1 + width) * sizeof *to);
}

/* Is pair number `i` of those that are compared learnt as its labels say? */
static bool counts(const rp_trainer *t, const rp_train_batch *b, size_t i) {
    if (rp_train_gathers(t)) return !t->ranks.learnt || t->ranks.learnt[i] > 0;
    return is_learnt(t, b, i);
}

void rp_train_write_vectors(rp_trainer *t, const rp_train_batch *b, const rp_train_labels *labels,
                            uint32_t *to) {
    uint32_t *wanted = (uint32_t *)((char *)t->input.mapped + t->at.wanted);
    uint32_t *segments = (uint32_t *)((char *)t->input.mapped + t->at.segments);
    uint32_t pairs = (uint32_t)((rp_train_gathers(t) ? t->ranks.sequences : b->count) / 2),
             weight =
                 rp_float_bits((float)(t->scale.scale * t->params.label_weight / (double)labels->counted[0]));
    to[RP_COUNT_ROWS] = pairs;
    to[RP_TRAIN_COUNT_VECTORS] = 2 * pairs;
    to[RP_TRAIN_COUNT_SEGMENTS] = 1;
    segments[0] = 0;
    segments[1] = pairs;
    for (uint32_t i = 0; i < (is_scored(t) ? pairs : t->pairs); i++) {
        wanted[2 * i] = i < pairs && counts(t, b, i) ? weight : 0;
        wanted[2 * i + 1] = is_scored(t) ? rp_float_bits(b->targets[i]) : i < pairs ? i : UINT32_MAX;
    }
    if (b->teacher) write_teacher(t, b);
}

/* What the device says of this process's pairs. */
void rp_train_add_vectors(const rp_trainer *t, const rp_train_batch *b, double *loss) {
    const char *out = t->output.mapped;
    const float *losses = (const float *)(out + t->out.losses) + first_text(t) / 2 * 2,
                *taught = (const float *)(out + t->out.taught) + first_text(t) * 2;
    for (size_t i = 0; i < b->count / 2; i++) *loss += losses[2 * i] / t->scale.scale;
    for (size_t i = 0; b->teacher && i < b->count; i++) *loss += taught[2 * i] / t->scale.scale;
}
