/* Texts of several calls, each at a depth of its own, and how they go through a model together.
 *
 * A tick is one submission: texts that join (the prologue), the layer for the texts of a batch, once or
 * several times, and an output for texts that leave. Between two ticks the hidden states of every text that
 * is inside lie in the slab, at the places that the text has there. What a tick lists was recorded before;
 * the host writes lists of tokens and places, and workgroup counts.
 *
 * ticks.c knows the device, choose.c which texts a tick takes, and depth.c who waits for them. */
#ifndef RP_MODEL_TICKS_H
#define RP_MODEL_TICKS_H

#include "model/submission.h"
#include "reprise/queue.h"

struct rp_depth_call;

/* A text that is on its way. */
typedef struct rp_depth_text {
    const rp_sequence *sequence;
    rp_output output;
    const rp_row *rows; /* of a masked language model: those that are still to be computed, [row_count] */
    size_t row_count;
    float *out;       /* where its results go; those of `rows`, where there are any */
    uint32_t left;    /* layers that it has still to go through */
    uint32_t *places; /* [sequence->count] rows of the slab */
    bool inside;      /* it has these places, and its hidden states are there */
    bool leaving;     /* the tick that runs computes its output, or lets it leave by its patience */
    bool done;
    uint32_t exited;  /* not 0: it left by its patience behind so many layers, and its results are there */
    uint8_t failures; /* ticks that failed while it was on its way */
    uint32_t patience;
    uint32_t *layers; /* where to write behind which layer it left; NULL: nowhere */
    double came;      /* rp_seconds */
    double work;      /* of one layer */
    struct rp_depth_call *run;
} rp_depth_text;

typedef struct rp_tick_list {
    rp_depth_text **texts; /* [count], room for one a token of a batch */
    size_t count;
    uint32_t tokens;
} rp_tick_list;

typedef struct rp_tick {
    rp_tick_list join, batch, leave;
    rp_tick_list patient; /* of the batch, those that leave when the device says so */
    size_t rows;       /* of the texts that leave, for a masked language model; the last text may keep some */
    rp_output output;  /* of all that leave */
    double work;       /* of the batch in all its layers */
    uint32_t layers;   /* that the batch goes through */
    uint32_t depth;    /* the first of them; of interest where layers differ */
    bool straight_in;  /* the batch is those who join: their hidden states need no way over the slab */
    bool straight_out; /* those who leave are the batch: nor do these */
} rp_tick;

enum { RP_SLAB_BATCHES = 4 }; /* that the slab has room for, where the device has */

/* A view: what the host writes for one part of a tick. */
typedef enum rp_tick_view { RP_VIEW_JOIN = 0, RP_VIEW_BATCH, RP_VIEW_LEAVE, RP_TICK_VIEWS } rp_tick_view;

/* A set has all that is recorded for one tick. There are two: while the device runs one tick, the host writes
 * the next. */
typedef struct rp_tick_set {
    rp_tick tick;
    rp_input_layout at[RP_TICK_VIEWS];    /* in `input` */
    VkDeviceSize places[RP_TICK_VIEWS];   /* uint32 [tokens]: rows of the slab, in `input` */
    VkCommandBuffer prologue, put_joined; /* embeddings to `hidden`; from there to the slab */
    VkCommandBuffer take, put;            /* the batch from the slab to `hidden`; and back */
    VkCommandBuffer *groups;              /* as rp_model.groups */
    VkCommandBuffer exits;                /* which texts of the batch leave by their patience */
    VkCommandBuffer take_leaving, outputs[RP_OUTPUT_COUNT];
} rp_tick_set;

typedef struct rp_ticks {
    rp_model *model;
    uint32_t tokens;        /* most of a batch */
    rp_sequence *sequences; /* [tokens] scratch */
    rp_row *rows;           /* [tokens] scratch */
    VkCommandBuffer *list;  /* scratch: what a submission lists */
    rp_buffer input, slab;
    rp_buffer exits; /* by the place of a text's first token */
    uint32_t slab_rows;
    rp_recorder recorder;
    VkFence fence;
    bool recorded;       /* false at the start, and when the device was lost */
    uint64_t recordings; /* how often they were made */
    rp_tick_set sets[2];
} rp_ticks;

/* Host memory for the ticks of `model`; model->ticks. rp_ticks_close frees it, once nothing of it is on the
 * device. */
rp_status rp_ticks_open(rp_model *model, rp_error *err);
void rp_ticks_close(rp_model *model);

/* Record what ticks list, where it is not recorded. The caller has the model's turn and has entered the
 * device, as for all that follows. */
rp_status rp_ticks_record(rp_ticks *ticks, rp_error *err);

/* Destroy it. NULL is allowed. */
void rp_ticks_drop(rp_ticks *ticks);

/* How many rows of an output a tick may compute, without more work than `most`. */
size_t rp_ticks_room(const rp_model *model, rp_output output, double most);

/* Write what the tick of a set reads. */
void rp_ticks_fill(rp_ticks *ticks, rp_tick_set *set);

/* Submit the tick of a set, call `beside`, wait, and give those that leave their results: the `rows` of a
 * masked language model advance, with `out`. `*seconds` as rp_device_submit_timed. */
rp_status rp_ticks_run(rp_ticks *ticks, rp_tick_set *set, void (*beside)(void *user), void *user,
                       double *seconds, rp_error *err);

/* ---- choose.c ---- */

/* What the choice of a tick depends on, texts apart. */
typedef struct rp_chooser {
    rp_policy policy;
    uint32_t layers;      /* of the model */
    uint32_t most_tokens; /* of a batch */
    uint32_t budget;      /* tokens that a batch by RP_POLICY_LEAST_WORK may have in any case */
    double replay, token; /* seconds that a layer takes: replay + token * rp_width_rows(widths, tokens) */
    const rp_widths *widths;
    double submission;   /* seconds that a submission takes besides */
    uint32_t wait_count; /* RP_POLICY_STATIC: a batch begins with so many texts, */
    double wait_seconds; /* or when one has waited so long */
    double most_layer;   /* work of one layer of a batch, and of all a batch has to go through */
    double most_work;
    const rp_model *model;
} rp_chooser;

/* A text with what it is sorted by. */
typedef struct rp_depth_order {
    double key;
    rp_depth_text *text;
} rp_depth_order;

/* For how many seconds a tick has to wait for more texts; 0: not at all. Pure. */
double rp_tick_wait(const rp_chooser *c, rp_depth_text *const *texts, size_t count, double now);

/* Choose the next tick for these texts, in the order in which they came. `order` is scratch, [count].
 * `places`: `place_count` free rows of the slab, of which those that join get the last ones. Changes nothing
 * but `*tick`, and the places of those that join. */
void rp_tick_choose(const rp_chooser *c, rp_depth_text *const *texts, size_t count, rp_depth_order *order,
                    const uint32_t *places, uint32_t place_count, double now, rp_tick *tick);

/* ---- measure.c ---- */

/* Measure chooser->replay, token and submission and, where it is 0, the budget. `places`: free rows of the
 * slab, a batch of them. */
rp_status rp_ticks_measure(rp_ticks *ticks, rp_chooser *chooser, uint32_t *places, rp_error *err);

#endif
