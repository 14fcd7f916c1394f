/* The batch of a step: what it must be, how it is cut, and what the host writes of it. */
#include <math.h>
#include <string.h>

#include "model/submission.h"
#include "train/trainer.h"

/* ---- checks ---- */

static bool wants_targets(const rp_trainer *t) {
    if (t->params.vectors) return t->params.vectors == RP_VECTORS_SCORED;
    return t->head == RP_HEAD_CLASSIFIER && t->problem != RP_PROBLEM_SINGLE_LABEL;
}

static rp_status fail_label(size_t i, int32_t label, uint64_t most, rp_error *err) {
    return rp_fail(err, RP_ERROR_ARGUMENT, "rp_trainer_step: labels[%zu] is %d and must be below %llu", i,
                   (int)label, (unsigned long long)most);
}

static uint64_t count_logits(const rp_trainer *t, const rp_train_batch *b) {
    return (uint64_t)b->count * (t->params.vectors ? t->model->config.hidden_size : rp_train_logits(t));
}

/* Numbers that the logits are to be. */
static rp_status check_finite(const rp_trainer *t, const rp_train_batch *b, const float *values,
                              const char *name, rp_error *err) {
    for (uint64_t i = 0; i < count_logits(t, b); i++)
        if (!isfinite(values[i]))
            return rp_fail(err, RP_ERROR_ARGUMENT, "rp_trainer_step: %s[%llu] is not finite", name,
                           (unsigned long long)i);
    return RP_OK;
}

static rp_status check_targets(const rp_trainer *t, const rp_train_batch *b, rp_train_labels *out,
                               rp_error *err) {
    out->counted[0] = count_logits(t, b);
    return check_finite(t, b, b->targets, "targets", err);
}

static rp_status check_teacher(const rp_trainer *t, const rp_train_batch *b, rp_error *err) {
    if (t->params.taught != (b->teacher != NULL))
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_trainer_step: teacher must be %s",
                       t->params.taught ? "given, as rp_trainer_params.taught says"
                                        : "NULL where rp_trainer_params.taught is not set");
    return b->teacher ? check_finite(t, b, b->teacher, "teacher", err) : RP_OK;
}

/* The tokens to be predicted of sequence `i`, from number `first` of the batch on. */
static rp_status check_masked(const rp_trainer *t, const rp_train_batch *b, size_t i, size_t first,
                              rp_train_labels *out, rp_error *err) {
    uint32_t count = b->masked_counts[i], vocab = t->model->config.vocab_size, length = b->sequences[i].count;
    if (count > t->masked && count <= length)
        return rp_fail(err, RP_ERROR_TEXT,
                       "sequence %zu has %u tokens to be predicted and a micro-batch at most %u; mask fewer",
                       i, count, t->masked);
    const char *why = count > length ? "are more than the tokens" : NULL;
    for (uint32_t k = 0; !why && k < count; k++) {
        uint32_t position = b->masked_positions[first + k];
        int32_t id = b->masked_ids[first + k];
        if (position >= length) why = "hold a masked position beyond the last token";
        if (id >= 0 && (uint32_t)id >= vocab) why = "hold a masked id that is not below vocab_size";
        if (!why && t->places[position] != UINT32_MAX) why = "hold a masked position twice";
        if (!why) t->places[position] = 0;
        out->counted[0] += id >= 0;
    }
    for (uint32_t k = 0; k < count && count <= length; k++)
        if (b->masked_positions[first + k] < length) t->places[b->masked_positions[first + k]] = UINT32_MAX;
    if (!why) return RP_OK;
    return rp_fail(err, RP_ERROR_ARGUMENT,
                   "rp_trainer_step: the %u tokens to be predicted of sequence %zu, which has %u, %s", count,
                   i, length, why);
}

static rp_status check_pretraining(const rp_trainer *t, const rp_train_batch *b, rp_train_labels *out,
                                   rp_error *err) {
    bool order = rp_train_has_order(t);
    size_t masked = 0;
    for (size_t i = 0; i < b->count; i++) {
        rp_status status = check_masked(t, b, i, masked, out, err);
        if (status) return status;
        masked += b->masked_counts[i];
        if (order && b->order[i] > 1)
            return rp_fail(err, RP_ERROR_ARGUMENT, "rp_trainer_step: order[%zu] is %d and must be below 2", i,
                           (int)b->order[i]);
        out->counted[1] += order && b->order[i] >= 0;
    }
    return RP_OK;
}

/* What the batch lacks; NULL: nothing. */
static const char *what_is_missing(const rp_trainer *t, const rp_train_batch *b) {
    if (!b->count || !b->sequences) return "sequences";
    if (wants_targets(t)) return b->targets ? NULL : "targets";
    if (t->params.vectors) return NULL;
    if (!rp_train_pretrains(t)) return b->labels ? NULL : "labels";
    if (!b->masked_counts || !b->masked_positions || !b->masked_ids) return "tokens to be predicted";
    return b->order || !rp_train_has_order(t) ? NULL : "order";
}

/* Labels of rows, of which each may be below `most`. */
static rp_status check_rows(const rp_train_batch *b, uint64_t rows, uint64_t most, rp_train_labels *out,
                            rp_error *err) {
    for (uint64_t i = 0; i < rows; i++) {
        if (b->labels[i] >= 0 && (uint64_t)b->labels[i] >= most)
            return fail_label((size_t)i, b->labels[i], most, err);
        out->counted[0] += b->labels[i] >= 0;
    }
    return RP_OK;
}

static rp_status check_spans(const rp_train_batch *b, rp_train_labels *out, rp_error *err) {
    for (size_t i = 0; i < 2 * b->count; i++) {
        uint32_t tokens = b->sequences[i / 2].count;
        if (b->labels[i] >= 0 && (uint32_t)b->labels[i] >= tokens)
            return fail_label(i, b->labels[i], tokens, err);
        out->counted[i % 2] += b->labels[i] >= 0;
    }
    return RP_OK;
}

/* Sequences of question number `question`. */
static uint32_t choices_of(const rp_train_batch *b, size_t question) {
    return b->choice_counts ? b->choice_counts[question] : b->choices;
}

static rp_status check_question(const rp_trainer *t, const rp_train_batch *b, size_t question, size_t first,
                                rp_error *err) {
    uint32_t choices = choices_of(b, question);
    uint64_t tokens = 0;
    if (!choices || choices > b->count - first)
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       "rp_trainer_step: question %zu has %u choices, and %zu sequences are left", question,
                       choices, b->count - first);
    for (uint32_t i = 0; i < choices; i++) tokens += b->sequences[first + i].count;
    if (tokens > t->tokens || choices > t->sequences)
        return rp_fail(err, RP_ERROR_TEXT,
                       "question %zu has %u choices and more than the %u tokens of a micro-batch; make "
                       "max_batch_tokens larger, or cut the texts",
                       question, choices, t->tokens);
    if (b->labels[question] >= 0 && (uint32_t)b->labels[question] >= choices)
        return fail_label(question, b->labels[question], choices, err);
    return RP_OK;
}

static rp_status check_choices(const rp_trainer *t, const rp_train_batch *b, rp_train_labels *out,
                               rp_error *err) {
    rp_status status = RP_OK;
    size_t first = 0;
    for (size_t question = 0; !status && first < b->count; question++) {
        status = check_question(t, b, question, first, err);
        first += choices_of(b, question);
        if (!status) out->counted[0] += b->labels[question] >= 0;
    }
    return status;
}

rp_status rp_train_check(const rp_trainer *t, const rp_train_batch *b, rp_train_labels *out, rp_error *err) {
    uint64_t tokens = 0;
    rp_status status = RP_OK;
    *out = (rp_train_labels){{0, 0}};
    if (!b->count && t->params.world) return RP_OK; /* others have some */
    if (what_is_missing(t, b))
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_trainer_step: the batch has no %s", what_is_missing(t, b));
    for (size_t i = 0; i < b->count; i++) {
        RP_TRY(rp_model_check_sequence(t->model, &b->sequences[i], i, err));
        tokens += b->sequences[i].count;
    }
    if (t->params.vectors)
        status = rp_train_check_vectors(t, b, out, err);
    else if (wants_targets(t))
        status = check_targets(t, b, out, err);
    else if (rp_train_pretrains(t))
        status = check_pretraining(t, b, out, err);
    else if (t->head == RP_HEAD_CLASSIFIER)
        status = check_rows(b, b->count, rp_train_logits(t), out, err);
    else if (t->head == RP_HEAD_TOKENS)
        status = check_rows(b, tokens, rp_train_logits(t), out, err);
    else if (t->head == RP_HEAD_SPANS)
        status = check_spans(b, out, err);
    else
        status = check_choices(t, b, out, err);
    if (!status) status = check_teacher(t, b, err);
    if (!status && !b->teacher && !out->counted[0] && !out->counted[1] && !t->params.world)
        status = rp_fail(err, RP_ERROR_ARGUMENT, "rp_trainer_step: the batch has no label to learn");
done:
    return status;
}

/* ---- the cut ---- */

rp_train_part rp_train_next_part(const rp_trainer *t, const rp_train_batch *b, rp_train_part done) {
    bool asks = t->head == RP_HEAD_CHOICE;
    rp_train_part next = {.first = done.first + done.count,
                          .first_token = done.first_token + done.tokens,
                          .first_masked = done.first_masked + done.masked,
                          .first_question = done.first_question + done.questions};
    while (next.first + next.count < b->count) {
        uint32_t tokens = next.tokens, masked = next.masked,
                 unit = asks ? choices_of(b, next.first_question + next.questions) : 1;
        for (size_t i = 0; i < unit; i++) tokens += b->sequences[next.first + next.count + i].count;
        if (t->masked) masked += b->masked_counts[next.first + next.count];
        if (next.count && (tokens > t->tokens || next.count + unit > t->sequences || masked > t->masked))
            break;
        next.tokens = tokens;
        next.masked = masked;
        next.count += unit;
        next.questions += asks;
    }
    return next;
}

/* ---- what the device reads ---- */

static void *at(const rp_trainer *t, VkDeviceSize offset) {
    return (char *)t->input.mapped + offset;
}

/* `rows` 0: no kernel reads them. */
static void write_tiles(uint32_t sequence, uint32_t length, uint32_t rows, uint32_t *tiles, uint32_t *count) {
    for (uint32_t q = 0; rows && q < length; q += rows, ++*count) {
        tiles[2 * *count] = sequence;
        tiles[2 * *count + 1] = q;
    }
}

/* What a token has of the gradient of the vector of its text, or of the head on its first token. */
static float part_of_token(const rp_trainer *t, uint32_t k, uint32_t count) {
    if (t->params.vectors && !t->first_token) return 1 / (float)count;
    return k || t->head == RP_HEAD_MASKED_LM ? 0.0f : 1.0f;
}

static void write_sequences(rp_trainer *t, const rp_train_batch *b, const rp_train_part *part,
                            uint32_t *counts) {
    uint32_t *tokens = at(t, t->at.tokens), *starts = at(t, t->at.starts), *first = at(t, t->at.first),
             *queries = at(t, t->at.queries), *tiles = at(t, t->at.tiles), n = 0;
    for (uint32_t i = 0; i < part->count; i++) {
        const rp_sequence *sequence = &b->sequences[part->first + i];
        const int32_t *types = rp_types_of(&t->model->config, sequence);
        starts[i] = n;
        for (uint32_t k = 0; k < sequence->count; k++, n++) {
            uint32_t type = types ? (uint32_t)types[k] : 0;
            memcpy(&tokens[4 * n], (uint32_t[4]){(uint32_t)sequence->ids[k], type, k, 0}, 16);
            first[2 * n] = i;
            first[2 * n + 1] = rp_float_bits(part_of_token(t, k, sequence->count));
        }
        write_tiles(i, sequence->count, t->queries, queries, &counts[RP_TRAIN_COUNT_QUERIES]);
        write_tiles(i, sequence->count, t->tiles, tiles, &counts[RP_TRAIN_COUNT_TILES]);
    }
    starts[part->count] = n;
    counts[RP_COUNT_TOKENS] = n;
    counts[RP_COUNT_SEQUENCES] = (uint32_t)part->count;
    /* both kernels of attention compare the number of their tile with this, and each has its own grid */
    counts[RP_COUNT_TILES] = counts[RP_TRAIN_COUNT_QUERIES] > counts[RP_TRAIN_COUNT_TILES]
                                 ? counts[RP_TRAIN_COUNT_QUERIES]
                                 : counts[RP_TRAIN_COUNT_TILES];
}

/* Row of table `table` (words, positions, types) that token `k` of a sequence reads. */
static uint32_t row_of(const rp_trainer *t, const rp_sequence *sequence, uint32_t k, int table) {
    if (!table) return (uint32_t)sequence->ids[k];
    const int32_t *types = rp_types_of(&t->model->config, sequence);
    return table == 1 ? k : types ? (uint32_t)types[k] : 0;
}

/* For each different row of a table the tokens that read it, in their order. The row of padding has no
 * gradient, as in PyTorch. */
static uint32_t write_list(rp_trainer *t, const rp_train_batch *b, const rp_train_part *part, int table) {
    uint32_t *order = at(t, t->at.orders[table]), *list = t->list, rows = 0, used = 0, n = 0;
    for (int pass = 0; pass < 2; pass++, n = 0) {
        for (uint32_t r = 0; pass && r < rows; used += list[4 * r + 2], r++) list[4 * r + 1] = used;
        for (size_t i = 0; i < part->count; i++) {
            const rp_sequence *sequence = &b->sequences[part->first + i];
            for (uint32_t k = 0; k < sequence->count; k++, n++) {
                uint32_t row = row_of(t, sequence, k, table), *place = &t->places[row];
                if (!table && row == t->model->config.pad_id) continue;
                if (!pass && *place == UINT32_MAX) {
                    *place = rows++;
                    memcpy(&list[4 * *place], (uint32_t[4]){row}, 16);
                }
                if (pass)
                    order[list[4 * *place + 1] + list[4 * *place + 3]++] = n;
                else
                    list[4 * *place + 2]++;
            }
        }
    }
    for (uint32_t r = 0; r < rows; r++) t->places[list[4 * r]] = UINT32_MAX;
    memcpy(at(t, t->at.lists[table]), list, 16ull * rows);
    return rows;
}

/* Of the loss: the part of one label, times the loss scale. */
static uint32_t share(const rp_trainer *t, uint64_t counted, int32_t label, double part) {
    return rp_float_bits(label < 0 ? 0.0f : (float)(t->scale.scale * part / (double)counted));
}

/* Rows with one label each: from label number `first` on. */
static uint32_t write_labels(rp_trainer *t, const rp_train_batch *b, const rp_train_labels *labels,
                             size_t first, size_t count) {
    uint32_t *wanted = at(t, t->at.wanted);
    for (size_t i = 0; i < count; i++) {
        int32_t label = b->labels[first + i];
        wanted[2 * i] = share(t, labels->counted[0], label, t->params.label_weight);
        wanted[2 * i + 1] = label < 0 ? UINT32_MAX : (uint32_t)label;
    }
    return (uint32_t)count;
}

static uint32_t write_spans(rp_trainer *t, const rp_train_batch *b, const rp_train_labels *labels,
                            const rp_train_part *part) {
    uint32_t *wanted = at(t, t->at.wanted);
    memcpy(at(t, t->at.segments), at(t, t->at.starts), (part->count + 1) * 4);
    for (size_t i = 0; i < 2 * part->count; i++) {
        int32_t label = b->labels[2 * part->first + i];
        wanted[2 * i] = share(t, labels->counted[i % 2], label, 0.5);
        wanted[2 * i + 1] = label < 0 ? UINT32_MAX : (uint32_t)label;
    }
    return 2 * (uint32_t)part->count;
}

/* Where the tokens to be predicted lie among those of the part, and what they are. */
static void write_masked(rp_trainer *t, const rp_train_batch *b, const rp_train_labels *labels,
                         const rp_train_part *part) {
    uint32_t *rows = at(t, t->at.masked), *wanted = at(t, t->at.masked_ids), *starts = at(t, t->at.starts);
    size_t from = part->first_masked;
    for (size_t i = 0; i < part->count; i++)
        for (uint32_t k = 0; k < b->masked_counts[part->first + i]; k++, from++) {
            *rows++ = starts[i] + b->masked_positions[from];
            *wanted++ = share(t, labels->counted[0], b->masked_ids[from], 1);
            *wanted++ = b->masked_ids[from] < 0 ? UINT32_MAX : (uint32_t)b->masked_ids[from];
        }
}

static uint32_t write_order(rp_trainer *t, const rp_train_batch *b, const rp_train_labels *labels,
                            const rp_train_part *part) {
    uint32_t *wanted = at(t, t->at.wanted);
    for (size_t i = 0; rp_train_has_order(t) && i < part->count; i++) {
        int32_t order = b->order[part->first + i];
        *wanted++ = share(t, labels->counted[1], order, 1);
        *wanted++ = order < 0 ? UINT32_MAX : (uint32_t)order;
    }
    return rp_train_has_order(t) ? (uint32_t)part->count : 0;
}

/* What each logit is to be: `weight` times the mean over the batch is the loss. */
static uint32_t write_targets(rp_trainer *t, const rp_train_part *part, const float *values, double weight,
                              VkDeviceSize to) {
    uint32_t *wanted = at(t, to), width = rp_train_logits(t);
    for (size_t i = 0; i < part->count; i++, wanted += 1 + width) {
        wanted[0] = share(t, t->ranks.sequences * width, 0, weight);
        memcpy(wanted + 1, &values[(part->first + i) * width], width * 4ull);
    }
    return (uint32_t)part->count;
}

static uint32_t write_wanted(rp_trainer *t, const rp_train_batch *b, const rp_train_labels *labels,
                             const rp_train_part *part, uint32_t *counts) {
    uint32_t *segments = at(t, t->at.segments);
    if (b->teacher) write_targets(t, part, b->teacher, 1, t->at.taught);
    if (wants_targets(t)) return write_targets(t, part, b->targets, t->params.label_weight, t->at.wanted);
    if (rp_train_pretrains(t)) {
        write_masked(t, b, labels, part);
        counts[RP_COUNT_ROWS] = part->masked;
        return write_order(t, b, labels, part);
    }
    if (t->head == RP_HEAD_CLASSIFIER) return write_labels(t, b, labels, part->first, part->count);
    if (t->head == RP_HEAD_TOKENS) return write_labels(t, b, labels, part->first_token, part->tokens);
    if (t->head == RP_HEAD_SPANS) return write_spans(t, b, labels, part);
    segments[0] = 0;
    for (size_t i = 0; i < part->questions; i++)
        segments[i + 1] = segments[i] + choices_of(b, part->first_question + i);
    counts[RP_COUNT_ROWS] = (uint32_t)part->questions;
    return write_labels(t, b, labels, part->first_question, part->questions);
}

uint32_t rp_train_fill(rp_trainer *t, const rp_train_batch *b, const rp_train_labels *labels,
                       const rp_train_part *part) {
    uint32_t counts[RP_ALL_COUNTS] = {0};
    write_sequences(t, b, part, counts);
    for (int table = 0; table < 3; table++)
        counts[RP_TRAIN_COUNT_WORDS + table] = write_list(t, b, part, table);
    uint32_t items = t->params.vectors ? 0 : write_wanted(t, b, labels, part, counts);
    if (t->params.vectors) rp_train_write_vectors(t, b, labels, counts);
    memcpy(at(t, t->at.counts), counts, sizeof counts);
    rp_ops_write_grids(&t->ops, counts, at(t, t->at.indirect));
    return items;
}
