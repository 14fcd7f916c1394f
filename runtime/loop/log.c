/* The log: one JSON object a line, each of which is written at once. */
#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "base/folders.h"
#include "base/os.h"
#include "loader/json.h"
#include "loader/staging.h"
#include "loop/loop.h"

rp_status rp_loop_log_open(rp_loop *loop, rp_error *err) {
    const char *path = loop->params.log;
    if (!path) return RP_OK;
    int fd = rp_os_open(path, RP_OS_READ | RP_OS_WRITE | RP_OS_APPEND | RP_OS_CREATE);
    if (fd < 0 && errno == EACCES) fd = rp_os_open(path, RP_OS_WRITE | RP_OS_APPEND);
    if (fd < 0) return rp_fail_write(path, err);
    loop->log = fd ? fd : rp_os_duplicate(fd); /* 0 means that there is none */
    if (!fd) rp_os_close(fd);
    return loop->log > 0 ? RP_OK : rp_fail_write(path, err);
}

void rp_loop_log_close(rp_loop *loop) {
    if (loop->log) rp_os_close(loop->log);
    loop->log = 0;
}

rp_status rp_loop_log_sync(rp_loop *loop, rp_error *err) {
    if (!loop->log || !rp_os_sync(loop->log) || errno == EINVAL || errno == ENOSYS || errno == EROFS)
        return RP_OK;
    return rp_fail_write(loop->params.log, err);
}

/* ---- what is kept of an earlier run ---- */

/* The step of a line that this file wrote. */
static bool read_step(const char *line, uint64_t *out) {
    char *end;
    if (strncmp(line, "{\"step\": ", 9) || line[9] < '0' || line[9] > '9') return false;
    *out = strtoull(line + 9, &end, 10);
    return *end == ',';
}

/* Bytes of the lines of the first `done` steps. */
static rp_status measure(const rp_loop *loop, FILE *file, uint64_t done, uint64_t *out, rp_error *err) {
    char *line = NULL;
    size_t capacity = 0;
    uint64_t step;
    *out = 0;
    errno = 0;
    for (ssize_t size; (size = rp_os_getline(&line, &capacity, file)) > 0; *out += (uint64_t)size)
        if (line[size - 1] != '\n' || !read_step(line, &step) || step > done) break;
    free(line);
    if (errno == ENOMEM) return rp_fail_memory(err, rp_path_shown(loop->params.log), capacity);
    return RP_OK;
}

rp_status rp_loop_log_cut(rp_loop *loop, uint64_t done, rp_error *err) {
    rp_os_info info;
    uint64_t keep = 0;
    if (!loop->log || rp_os_fstat(loop->log, &info) || info.kind != RP_OS_FILE) return RP_OK;
    FILE *file = rp_os_fopen(loop->params.log, "rb");
    rp_status status = file ? measure(loop, file, done, &keep, err) : rp_fail_write(loop->params.log, err);
    if (file) fclose(file);
    if (!status && rp_os_truncate(loop->log, keep)) status = rp_fail_write(loop->params.log, err);
    loop->log_begun = true;
    return status;
}

/* ---- lines ---- */

static void put_number(rp_json_writer *w, const char *before, const char *name, double value) {
    char key[80];
    snprintf(key, sizeof key, "%s%.60s", before, name);
    if (isfinite(value))
        rp_json_write_real(w, key, value);
    else
        rp_json_write_null(w, key);
}

static void begin_line(rp_json_writer *w, const rp_training_step *s) {
    *w = (rp_json_writer){.compact = true};
    rp_json_write_open(w, NULL, '{');
    rp_json_write_integer(w, "step", (int64_t)s->step);
    put_number(w, "", "epoch", s->epoch);
}

static rp_status write_text(const rp_loop *loop, const char *text, size_t size, rp_error *err) {
    rp_os_info info;
    if (!rp_os_fstat(loop->log, &info) && info.kind == RP_OS_FILE &&
        !rp_file_limit_allows((uint64_t)info.size + size)) {
        errno = EFBIG;
        return rp_fail_write(loop->params.log, err);
    }
    while (size) {
        ssize_t wrote = rp_os_write(loop->log, text, size);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) return rp_fail_write(loop->params.log, err);
        text += wrote;
        size -= (size_t)wrote;
    }
    return RP_OK;
}

/* What an earlier run wrote goes when there is something in its place. */
static rp_status end_line(rp_loop *loop, rp_json_writer *w, rp_error *err) {
    size_t size = 0;
    rp_json_write_close(w, '}');
    char *text = rp_json_writer_finish(w, &size);
    if (!text) return rp_fail_memory(err, "a line of the log", size);
    rp_status status = RP_OK;
    if (!loop->log_begun && rp_os_truncate(loop->log, 0) && errno == EIO)
        status = rp_fail_write(loop->params.log, err); /* a pipe has nothing */
    loop->log_begun = true;
    if (!status) status = write_text(loop, text, size, err);
    free(text);
    return status;
}

/* The first line says what the training takes of the device. */
static void put_trainer(rp_json_writer *w, const rp_trainer_info *info) {
    rp_json_write_integer(w, "device_bytes", (int64_t)info->device_bytes);
    rp_json_write_integer(w, "weight_bytes", (int64_t)info->weights);
    rp_json_write_integer(w, "gradient_bytes", (int64_t)info->gradients);
    rp_json_write_integer(w, "moment_bytes", (int64_t)info->moments);
    rp_json_write_integer(w, "transpose_bytes", (int64_t)info->transposes);
    rp_json_write_integer(w, "activation_bytes", (int64_t)info->activations);
    rp_json_write_integer(w, "logit_bytes", (int64_t)info->logits);
    rp_json_write_integer(w, "batch_tokens", info->batch_tokens);
    rp_json_write_bool(w, "recomputes", info->recomputes);
}

rp_status rp_loop_log_step(rp_loop *loop, rp_error *err) {
    const rp_training_step *s = &loop->last;
    rp_json_writer w;
    if (!loop->log) return RP_OK;
    begin_line(&w, s);
    put_number(&w, "", "loss", s->loss);
    put_number(&w, "", "lr", s->learning_rate);
    put_number(&w, "", "grad_norm", s->grad_norm);
    rp_json_write_integer(&w, "sequences", (int64_t)s->sequences);
    rp_json_write_integer(&w, "tokens", (int64_t)s->tokens);
    for (size_t i = 0; i < s->metric_count; i++) put_number(&w, "", s->metrics[i].name, s->metrics[i].value);
    put_number(&w, "", "seconds", s->seconds);
    if (s->step == 1) put_trainer(&w, s->trainer);
    return end_line(loop, &w, err);
}

rp_status rp_loop_log_evaluation(rp_loop *loop, rp_error *err) {
    const rp_loop_metrics *m = &loop->metrics;
    rp_json_writer w;
    if (!loop->log) return RP_OK;
    begin_line(&w, &loop->last);
    for (size_t i = 0; i < m->count; i++) put_number(&w, "eval_", m->items[i].name, m->items[i].value);
    return end_line(loop, &w, err);
}
