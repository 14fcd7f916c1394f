/* One operator at a time on the device: data in, a recording, submissions with other counts, results out.
 * For cmocka programs; every function fails the test when it cannot do its work. */
#ifndef SUPPORT_OPS_H
#define SUPPORT_OPS_H

#include "ops/class.h"
#include "ops/reference.h"

/* What the floats of ops_results hold until an operator writes them. */
#define OPS_UNTOUCHED 777.0f

/* The device, opened once a program, and the case at hand. */
extern rp_device *ops_device;
extern rp_ops ops;

/* Group set-up and tear-down of cmocka_run_group_tests. The default device; REPRISE_DEVICE is the command's.
 */
int ops_setup(void **state);
int ops_teardown(void **state);

/* Begin a case: buffers, matrices and recordings of the case before go, its pipelines stay. */
void ops_begin(void);

/* Fail the test with the library's message when `expr` is not RP_OK. It may use `ops_err`. */
extern rp_error ops_err;
void ops_check(rp_status status, const char *expr, const char *file, int line);
#define OPS_OK(expr) ops_check((expr), #expr, __FILE__, __LINE__)

/* ---- looks: what the device stands for, so that kernels which are not planned for it run too ---- */

enum { OPS_LOOKS = 4 };

/* From now on ops_device->caps are those of look `i`: 0 the device's own; others lack subgroups or texel
 * buffers, or are a GPU's. Its name. ops_begin goes back to 0. */
const char *ops_look_like(size_t i);

/* ---- data: each range is a buffer of its own, seen by the host, and lives until the next ops_begin ---- */

rp_range ops_upload(const void *data, size_t bytes);
void ops_write(rp_range range, const void *data, size_t bytes);
/* `count` floats of OPS_UNTOUCHED. */
rp_range ops_results(size_t count);
/* Make them untouched again. */
void ops_clear(rp_range results);
/* The contents, valid until the next ops_write, ops_clear or ops_begin. */
const float *ops_read(rp_range range);

/* Weights, through the library's own store. */
const rp_matrix *ops_matrix(const rp_host_matrix *parts, uint32_t count);
const rp_matrix *ops_matrix_as(const rp_host_matrix *parts, uint32_t count, rp_storage storage);
rp_range ops_vectors(const rp_host_matrix *parts, uint32_t count);

/* ---- numbers ---- */

/* Uniform in -1 to 1, the same sequence in every run of a program. */
float ops_random(void);
/* [rows, padded width] floats of ops_random times `scale`, with zeros in the padding. Freed by free(). */
float *ops_random_rows(size_t rows, uint32_t width, float scale);
/* A matrix of magnitudes below 0.5, exact in its format. Its data is freed by free(). */
rp_host_matrix ops_random_matrix(rp_format format, uint32_t rows, uint32_t columns);
/* The same values as floats, row-major without padding. Freed by free(). */
float *ops_as_floats(const rp_host_matrix *matrix);

/* ---- recording and running ---- */

/* Record `op` by the kernel that is chosen for it; or by the first of its plan, proven or not. */
rp_status ops_choose_and_record(rp_op_target target, rp_op op);
rp_status ops_record_first(rp_op_target target, rp_op op);

/* Begin a command buffer to record operators into. */
rp_op_target ops_record(void);
void ops_record_barrier(rp_op_target target);
/* End it. After that it can be run any number of times. */
void ops_record_end(rp_op_target target);
/* Submit it with these counts and wait. */
void ops_run(rp_op_target target, const uint32_t counts[RP_COUNT_KINDS]);
/* The same with one count for tokens, sequences and rows alike. */
void ops_run_rows(rp_op_target target, uint32_t rows);

/* ---- comparing ---- */

/* Every element of `got` within `bound` of `want`, relative above 1; the padding of `got` is zero. Both are
 * [rows, padded width]. `what` (printf-like) says which case it is. */
void ops_compare(const float *got, const float *want, size_t rows, uint32_t width, double bound,
                 const char *what, ...) __attribute__((format(printf, 6, 7)));
/* Rows [first, last) of `stride` floats are untouched. */
void ops_check_untouched(const float *got, size_t first, size_t last, size_t stride);

#endif
