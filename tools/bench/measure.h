/* Measuring: what a device can reach, what each operator reaches on it, and where the time of a run goes. The
 * tables of `reprise bench` are made of this, and the tests call it.
 *
 * These functions take seconds, and their results are only as good as the machine is quiet. */
#ifndef REPRISE_BENCH_MEASURE_H
#define REPRISE_BENCH_MEASURE_H

#include "model/model.h"
#include "reprise/train.h"

/* One measured value. */
typedef struct rp_figure {
    double value;     /* 0: not measured */
    double cpu_value; /* arithmetic, or a copy, on a software driver: by processor time over the processors,
                         which other work on the machine does not disturb; else 0 */
    char note[96];    /* how the value was reached, or why there is none */
} rp_figure;

/* What a device reaches when nothing else is in the way. */
typedef struct rp_roofline {
    rp_figure f32;         /* float32 fma, GFLOP/s; an fma is two operations */
    rp_figure f16;         /* the same in pairs of float16 */
    rp_figure int8_dot;    /* dot products of packed 8-bit integers, GOP/s; eight operations each */
    rp_figure cooperative; /* cooperative matrix, GFLOP/s */
    rp_figure copy;        /* GB/s from one buffer to another; what is read and what is written both count */
    rp_figure dispatch;    /* one more dispatch of an empty shader in a command buffer, microseconds */
    rp_figure barrier;     /* one more barrier between two of them, microseconds */
    rp_figure submit;      /* an empty command buffer, from submission until the host sees it done, us */
} rp_roofline;

/* Parts of the roofline, as bits. */
typedef enum rp_roofline_part {
    RP_ROOFLINE_F32 = 1,
    RP_ROOFLINE_F16 = 2,
    RP_ROOFLINE_INT8 = 4,
    RP_ROOFLINE_COOPERATIVE = 8,
    RP_ROOFLINE_COPY = 16,
    RP_ROOFLINE_COSTS = 32, /* dispatch, barrier, submit */
    RP_ROOFLINE_ALL = 63,
} rp_roofline_part;

/* Measure the `parts` (bits of rp_roofline_part) of the roofline; the rest of `*out` is zero. The arithmetic
 * is the best over several numbers of independent chains and workgroup sizes: how many fit a driver's
 * registers is not known beforehand. About 2 seconds on a software driver. Thread-safe, but two at once
 * measure each other. */
rp_status rp_bench_roofline(rp_device *device, unsigned parts, rp_roofline *out, rp_error *err);

/* One operator by one kernel. */
typedef struct rp_op_time {
    const char *op;        /* such as "qkv"; static */
    char kernel[96];       /* the shader, its workgroup and what one invocation makes */
    uint32_t rows;         /* tokens */
    uint32_t columns;      /* of the result */
    uint32_t depth;        /* products in each sum; 0 where the operator is no product */
    double seconds;        /* of the whole operator; the least of several */
    double cpu_seconds;    /* on a software driver: the least processor time over the processors; else 0 */
    double timed;          /* the part of it that was timed, 0 to 1; the rest is assumed to be as fast */
    double operations;     /* floating point operations of its products */
    rp_roofline_part unit; /* what multiplies them, of the roofline; 0 where the operator is no product */
    double bytes;          /* that it must read and write at least once */
    bool by_device;        /* by the device's time stamps, not by the host's clock */
    bool chosen;           /* the kernel that a model uses on this device */
    char statistics[400];  /* of the driver's compiler: registers, spills, occupancy; empty: it tells none */
} rp_op_time;

/* Takes one result; `user` is what was given to rp_bench_ops. */
typedef void (*rp_op_time_fn)(void *user, const rp_op_time *time);

/* Time every operator of a layer of `config` (as rp_model_open_random takes it) on one sequence of `tokens`
 * tokens, by every kernel that the planner offers on this device, and give each result to `each`. On a
 * software driver only some of the columns of large products are timed. Weights are random, of
 * this precision (the default is F32). RP_ERROR_ARGUMENT
 * when `tokens` is 0 or more than the config takes. */
rp_status rp_bench_ops(rp_device *device, const char *config, uint32_t tokens, rp_precision precision,
                       rp_op_time_fn each, void *user, rp_error *err);

/* What most products of this model's layers are multiplied by: RP_ROOFLINE_F32, RP_ROOFLINE_INT8 or
 * RP_ROOFLINE_COOPERATIVE; no kernel multiplies by float16 fma. Thread-safe. */
rp_roofline_part rp_bench_unit(const rp_model *model);

/* Ways to run one recorded layer many times. */
typedef enum rp_replay_way {
    RP_REPLAY_LISTED = 0, /* one command buffer, listed for each layer in one submission: what models do */
    RP_REPLAY_PINGPONG,   /* the same, but half a layer's results go to a second buffer, not in place */
    RP_REPLAY_SECONDARY,  /* a secondary command buffer, executed for each layer by one primary */
    RP_REPLAY_SUBMITTED,  /* one command buffer, submitted by itself for each layer */
    RP_REPLAY_COPIED,     /* one command buffer into which the layer was recorded for each layer */
    RP_REPLAY_RECORDED,   /* the same, recorded anew before each run */
    RP_REPLAY_WAYS,
} rp_replay_way;

typedef struct rp_replay_time {
    double median, least; /* of a run, recording included where it happens each time; seconds */
    double cpu;           /* least processor time of a run over the processors, seconds */
    double record;        /* recording the command buffers, seconds */
    uint64_t weights;     /* bytes of the products' weights that a run reads, equal layers counted once */
} rp_replay_time;

/* Run the layers of `model` on one sequence of `tokens` tokens, `layers` of them, `repeat` times in this way;
 * layer i is that of group i modulo the model's groups. Thread-safe. RP_ERROR_ARGUMENT when `tokens` is 0 or
 * more than the model takes, or `layers` or `repeat` is 0. */
rp_status rp_bench_replay(rp_model *model, rp_replay_way way, uint32_t layers, uint32_t tokens,
                          uint32_t repeat, rp_replay_time *out, rp_error *err);

/* A piece of a run. */
typedef struct rp_trace_span {
    const char *name;       /* such as "attention"; lives until the model is closed */
    bool device;            /* on the device; else on the host */
    double begin, duration; /* seconds, from the beginning of the run */
} rp_trace_span;
typedef void (*rp_trace_fn)(void *user, const rp_trace_span *span);

/* Run `count` sequences that fit one submission once more, with a time stamp around each dispatch, and give
 * each piece of the host's and of the device's work to `each`. The stamps are laid so that the first dispatch
 * begins with the submission. RP_ERROR_UNSUPPORTED when the device has no time stamps; RP_ERROR_ARGUMENT when
 * the sequences do not fit. Thread-safe. */
rp_status rp_bench_trace(rp_model *model, const rp_sequence *sequences, size_t count, rp_trace_fn each,
                         void *user, rp_error *err);

/* The start of this model, and of its device. All zero for NULL. */
void rp_bench_start_times(const rp_model *model, rp_start_times *out);

/* A part of a step of training: least processor time over the processors, and least time; seconds. */
typedef struct rp_train_time {
    double cpu, seconds;
} rp_train_time;

typedef struct rp_train_times {
    rp_train_time forward, head, backward, update; /* the first two and the last but for what is of no layer:
                                                      forward has the embeddings, backward their gradients */
    uint32_t parts;                                /* micro-batches */
} rp_train_times;

/* An operator of the first layer. */
typedef struct rp_train_op_time {
    const char *class, *label, *kernel;
    bool back; /* it is of the way back */
    rp_train_time time;
    double operations; /* floating point operations of a product; else 0 */
} rp_train_op_time;
typedef void (*rp_train_op_fn)(void *user, const rp_train_op_time *time);

/* Time the parts of a step of `trainer` on `batch`, each alone, `repeat` times, and then every operator of a
 * layer. Parameters change. `each` may be NULL. */
rp_status rp_bench_train(rp_trainer *trainer, const rp_train_batch *batch, uint32_t repeat,
                         rp_train_times *out, rp_train_op_fn each, void *user, rp_error *err);

/* For qsort, and the middle of sorted values. */
static inline int rp_compare_doubles(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}
static inline double rp_median(const double *sorted, size_t count) {
    return count % 2 ? sorted[count / 2] : (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
}

#endif
