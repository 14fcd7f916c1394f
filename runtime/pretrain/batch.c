/* The instances of a step, one behind the other. */
#include "pretrain/pretrain.h"

void rp_pretrain_batch_finish(rp_pretrain_batch *b) {
    free(b->sequences);
    free(b->masked_counts);
    free(b->order);
    free(b->ids);
    free(b->types);
    free(b->positions);
    free(b->masked_ids);
}

static bool make_room(rp_pretrain_batch *b, const rp_instance *in) {
    size_t count = b->count + 1, tokens = b->tokens + in->count, masked = b->masked + in->masked + 1;
    return rp_grow((void **)&b->sequences, &b->sequence_room, count, sizeof *b->sequences) &&
           rp_grow((void **)&b->masked_counts, &b->count_room, count, sizeof *b->masked_counts) &&
           rp_grow((void **)&b->order, &b->order_room, count, sizeof *b->order) &&
           rp_grow((void **)&b->ids, &b->id_room, tokens, sizeof *b->ids) &&
           rp_grow((void **)&b->types, &b->type_room, tokens, sizeof *b->types) &&
           rp_grow((void **)&b->positions, &b->position_room, masked, sizeof *b->positions) &&
           rp_grow((void **)&b->masked_ids, &b->masked_room, masked, sizeof *b->masked_ids);
}

static rp_status push(rp_pretrain_batch *b, const rp_instance *in, rp_error *err) {
    if (!make_room(b, in)) return rp_fail_memory(err, "a batch", 8ull * (b->tokens + in->count));
    memcpy(b->ids + b->tokens, in->ids, in->count * sizeof *b->ids);
    if (in->types)
        memcpy(b->types + b->tokens, in->types, in->count * sizeof *b->types);
    else
        memset(b->types + b->tokens, 0, in->count * sizeof *b->types);
    for (uint32_t i = 0; i < in->masked; i++) {
        b->positions[b->masked + i] = in->masked_positions[i];
        b->masked_ids[b->masked + i] = in->masked_ids[i];
    }
    b->sequences[b->count].count = in->count;
    b->masked_counts[b->count] = in->masked;
    b->order[b->count++] = in->order;
    b->tokens += in->count;
    b->masked += in->masked;
    return RP_OK;
}

uint64_t rp_pretrain_rows(const rp_pretrain_run *run, uint64_t step) {
    uint64_t first = step % run->steps_of_epoch * run->params.batch_size, left = run->source.count - first;
    return left < run->params.batch_size ? left : run->params.batch_size;
}

/* The ranks of a world take one part after the other. */
rp_status rp_pretrain_fill(rp_pretrain_run *run, uint64_t step, rp_train_batch *out, rp_error *err) {
    rp_pretrain_batch *b = &run->batch;
    uint64_t epoch = step / run->steps_of_epoch, first = step % run->steps_of_epoch * run->params.batch_size,
             count = rp_pretrain_rows(run, step);
    uint32_t rank = rp_world_rank(run->params.world), ranks = rp_world_size(run->params.world);
    uint64_t end = first + count * (rank + 1) / ranks;
    rp_status status = RP_OK;
    b->count = b->tokens = b->masked = 0;
    for (uint64_t i = first + count * rank / ranks; !status && i < end; i++) {
        rp_instance instance;
        status = rp_pretrain_source_read(&run->source, epoch, i, &instance, err);
        if (!status) status = push(b, &instance, err);
    }
    if (status) return status;
    for (size_t i = 0, at = 0; i < b->count; at += b->sequences[i++].count) {
        b->sequences[i].ids = b->ids + at;
        b->sequences[i].type_ids = b->types + at;
    }
    *out = (rp_train_batch){.sequences = b->sequences,
                            .count = b->count,
                            .masked_counts = b->masked_counts,
                            .masked_positions = b->positions,
                            .masked_ids = b->masked_ids,
                            .order = b->order};
    return RP_OK;
}
