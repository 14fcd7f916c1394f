/* How a micro-batch is planned: which buffers it has, of how many tokens, and what training takes of the
 * device. Pure. */
#ifndef RP_TRAIN_PLAN_H
#define RP_TRAIN_PLAN_H

#include "gpu/memory.h"
#include "loader/config.h"
#include "reprise/train.h"

/* T: tokens of a micro-batch; S: sequences; M: tokens to be predicted; h, i, a, e, v: padded widths as in
 * model.h; c: of the logits. */
typedef struct rp_train_buffers {
    rp_range sum, normed;                 // [T, e]: embeddings, before and after their LayerNorm
    rp_range hidden;                      // [T, h]: between layers
    rp_range in, before, attended, ahead; // [T, h]: a layer's input, the sums before both LayerNorms, and
                                          // what the first one makes
    rp_range qkv, context;                // [T, 3a], [T, a]
    rp_range z, inner;          // [T, i]: before and after the activation; inner has room for [T, 3a]
    rp_range d_hidden, d_other; // [T, h]: gradients
    rp_range d_inner;           // [T, i], or [T, a]
    rp_range norm_stats;        // [T, 2]
    rp_range attention_stats;   // [T, heads, 2]
    rp_range scratch;           // of column_sum.c
    rp_range half_x, half_dy;   // what a product reads in f16: [T, ...], or [M, v]
    rp_range first_rows, pooled_in, pooled, d_pooled; // [S, h]
    rp_range logits, d_logits;                        // [S, c], or [T, c]
    rp_range masked_rows;                             // [M, h]
    rp_range masked_in, masked_act, masked_normed;    // [M, e]: before and after the activation, and the
                                                      // LayerNorm of that
    rp_range d_masked, d_masked_act;                  // [M, e]
    rp_range words;                                   // [M, v]: logits, and then their gradient
    /* Of vectors, for P pairs at most, of all micro-batches of a step. */
    rp_range vectors, d_vectors; // [2P, h]
    rp_range inverse;            // [2P]: of their lengths
    rp_range scores, d_scores;   // [P, padded P]
    struct {
        rp_range in, qkv, context, before, z, ahead; // [layers, T, ...]: the same of each layer; only `in`
                                                     // where the others are computed again
    } kept;
} rp_train_buffers;

/* What it all follows from. */
typedef struct rp_train_shape {
    const rp_config *config;
    rp_head head;
    uint32_t logits;            /* of a row */
    uint32_t tokens, sequences; /* most of a micro-batch */
    uint32_t pairs;             /* of texts whose vectors a step compares; 0: it has a head */
    uint32_t compared;          /* pairs whose second texts a first one is compared with */
    uint32_t masked;            /* and of its tokens to be predicted; 0: the head predicts none */
    bool recomputes;            /* the way back computes each layer again */
    bool half;                  /* products are of float16 */
} rp_train_shape;

bool rp_train_rows_are_tokens(rp_head head);

/* Write to `out` the buffers of a micro-batch, all but those without any bytes, and return their number. */
typedef enum rp_train_room_kind {
    RP_TRAIN_ROOM_WORK,
    RP_TRAIN_ROOM_KEPT,
    RP_TRAIN_ROOM_LOGITS
} rp_train_room_kind;
typedef struct rp_train_room {
    rp_range *range;
    uint64_t floats;
    rp_train_room_kind kind;
} rp_train_room;
enum {
    RP_MOST_TRAIN_ROOMS = 48,
    RP_TRAIN_ROOM_BEHIND = 512
}; /* bytes between two, and to round each up by */
size_t rp_train_rooms(const rp_train_shape *shape, rp_train_buffers *buffers,
                      rp_train_room out[RP_MOST_TRAIN_ROOMS]);

/* What a device has for them: bytes of a storage range, of all, and of a micro-batch that nobody has asked to
 * be larger. `taken`: bytes of weights, gradients and so on. */
typedef struct rp_train_space {
    uint64_t range, bytes, modest;
} rp_train_space;
rp_train_space rp_train_space_of(const rp_caps *caps, uint64_t taken);

/* Choose tokens, sequences, masked and recomputes of `shape`, whose other members are set. `path` stands in
 * messages. RP_ERROR_UNSUPPORTED: there is no space for the longest sequence. */
rp_status rp_train_plan(const char *path, const rp_trainer_params *params, rp_train_space space,
                        rp_train_shape *shape, rp_error *err);

/* How many floats are trained, and how many of them have a transpose. */
uint64_t rp_train_parameter_floats(const rp_config *config, rp_head head, uint32_t logits, uint64_t *turned);

#endif
