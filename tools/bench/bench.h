/* reprise bench: what the files share that write results. bench.c has the end-to-end run, and calls the
 * others, which have one kind of measurement each. */
#ifndef REPRISE_BENCH_H
#define REPRISE_BENCH_H

#include "measure.h"
#include "tools/cli/session.h"

/* One call of bench. */
typedef struct rp_cli_bench_job {
    const rp_cli_options *options;
    rp_cli_output *out;
    rp_cli_people people; /* writes to out->buffer */
    rp_device *device;
} rp_cli_bench_job;

/* The sequences of a run: random ids, the same on every machine. */
typedef struct rp_cli_batch {
    int32_t *ids;
    rp_sequence *sequences; /* [count] */
    size_t count;
    uint64_t tokens;  /* of all sequences */
    uint64_t squares; /* sum of the squares of their lengths */
    uint32_t longest;
} rp_cli_batch;

/* Append the file `path`; "-" is standard input. And what a message calls it. */
rp_status rp_cli_bench_read(const char *path, rp_cli_buffer *out, rp_error *err);

const char *rp_cli_bench_file(const char *path);

enum { RP_CLI_MOST_TOKENS = 1 << 22 }; /* in one run */

/* The lengths that the options ask for: options->batch of them, or as many as a file has. Owned by the
 * caller. */
rp_status rp_cli_bench_lengths(const rp_cli_options *options, uint32_t **out, size_t *count, rp_error *err);

/* Open what the options mean: the folder of -m, or random weights for --config. `params->precision` is the
 * options'. */
rp_status rp_cli_bench_open(const rp_cli_bench_job *job, rp_model_params *params, rp_model **out,
                            rp_error *err);
/* Append `, "config": ..., "weights": ..., "precision": ...` of it. */
void rp_cli_bench_json_model(const rp_cli_bench_job *job, rp_cli_buffer *out);

/* Sequences of these lengths, of ids below `vocab_size`. `padded`: all as long as the longest. */
rp_cli_batch rp_cli_bench_batch(const uint32_t *lengths, size_t count, uint32_t vocab_size, bool padded);
void rp_cli_bench_batch_free(rp_cli_batch *batch);

/* Times of some runs of one batch. */
typedef struct rp_cli_times {
    double *total_ms, *host_ms, *device_ms; /* [count], sorted: host to host, and its two parts */
    double cpu_ms;                          /* least processor time of a run, over the processors */
    size_t count;
    uint32_t submissions; /* of one run */
} rp_cli_times;

/* Run `batch` once to warm up and `repeat` times to be timed. Freed by rp_cli_times_free, also on failure. */
rp_status rp_cli_bench_time(rp_model *model, const rp_cli_batch *batch, size_t repeat, rp_cli_times *out,
                            rp_error *err);
void rp_cli_times_free(rp_cli_times *times);

/* Floating point operations that the matrix products of a batch need, each multiplication and addition one.
 */
double rp_cli_operations(const rp_model_info *info, const rp_cli_batch *batch);

/* Append `"device": ..., "driver": ..., "cpu": ...` of the open device, and a heading for people. */
void rp_cli_bench_json_device(const rp_device *device, rp_cli_buffer *out);
void rp_cli_bench_heading(rp_cli_bench_job *job);

/* What a device multiplies with: its word in JSON, its name, and its part of the roofline. */
typedef struct rp_cli_unit {
    const char *key, *name;
    const rp_figure *figure; /* in `roofline` */
} rp_cli_unit;
rp_cli_unit rp_cli_bench_unit(rp_roofline_part part, const rp_roofline *roofline);

/* Append `, "key": value`. */
void rp_cli_json_key(rp_cli_buffer *out, const char *key, double value);

/* The measurements. Each writes its own results. */
rp_status rp_cli_bench_roofline(rp_cli_bench_job *job, rp_error *err);
rp_status rp_cli_bench_ops(rp_cli_bench_job *job, rp_error *err);
rp_status rp_cli_bench_replay(rp_cli_bench_job *job, rp_error *err);
rp_status rp_cli_bench_startup(rp_cli_bench_job *job, rp_error *err);
rp_status rp_cli_bench_accuracy(rp_cli_bench_job *job, rp_error *err);
rp_status rp_cli_bench_train(rp_cli_bench_job *job, rp_error *err);
rp_status rp_cli_bench_serve(rp_cli_bench_job *job, rp_error *err);

/* Write a trace of one run of `batch` to options->trace. */
rp_status rp_cli_bench_trace(rp_cli_bench_job *job, rp_model *model, const rp_cli_batch *batch,
                             rp_error *err);

#endif
