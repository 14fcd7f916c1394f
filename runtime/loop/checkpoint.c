/* Checkpoints: written beside their place, renamed when all of it is on the disk, found again, and removed.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/folders.h"
#include "base/os.h"
#include "loader/sealed.h"
#include "loader/staging.h"
#include "loop/loop.h"

enum { PATH_BYTES = 4096, VERSION = 1 };

const char rp_loop_training_file[] = "training.json";

static rp_status join(char out[PATH_BYTES], const char *dir, const char *name, rp_error *err) {
    if (snprintf(out, PATH_BYTES, "%s/%s", dir, name) < PATH_BYTES) return RP_OK;
    errno = ENAMETOOLONG;
    return rp_fail_write(dir, err);
}

/* ---- which there are ---- */

/* "checkpoint-N" */
static bool read_name(const char *name, uint64_t *out) {
    char same[40];
    if (sscanf(name, "checkpoint-%" SCNu64, out) != 1) return false;
    snprintf(same, sizeof same, "checkpoint-%" PRIu64, *out);
    return !strcmp(name, same);
}

static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* The steps of all of them, in order; freed by the caller. */
static rp_status list(const char *dir, uint64_t **out, size_t *count, rp_error *err) {
    size_t capacity = 0;
    rp_os_list *folder = rp_os_list_open(dir);
    rp_status status = folder ? RP_OK : rp_fail_write(dir, err);
    *out = NULL;
    *count = 0;
    for (const char *item; !status && (item = rp_os_list_next(folder));) {
        uint64_t step;
        if (!read_name(item, &step)) continue;
        if (!rp_grow((void **)out, &capacity, *count + 1, sizeof **out))
            status = rp_fail_memory(err, "a list of checkpoints", sizeof **out);
        else
            (*out)[(*count)++] = step;
    }
    if (folder) rp_os_list_close(folder);
    if (*count) qsort(*out, *count, sizeof **out, compare);
    return status;
}

/* ---- training.json ---- */

/* Values of what was saved last, NULL where there are none. */
static const rp_json *saved_value(const rp_loop *loop, const char *key) {
    return rp_json_get(&loop->from.root, key);
}

static void write_best(rp_json_writer *w, const rp_loop *loop) {
    rp_json_write_open(w, "best", '{');
    rp_json_write_integer(w, "step", (int64_t)loop->best_step);
    rp_json_write_string(w, "metric", rp_loop_metric(loop));
    if (isfinite(loop->best))
        rp_json_write_real(w, "value", loop->best);
    else
        rp_json_write_null(w, "value");
    rp_json_write_close(w, '}');
}

rp_status rp_loop_write_training(const rp_loop *loop, const char *dir, const char *const *files, size_t count,
                                 rp_error *err) {
    rp_json_writer w = {0};
    rp_json_write_open(&w, NULL, '{');
    rp_json_write_integer(&w, "version", VERSION);
    rp_json_write_integer(&w, "step", (int64_t)loop->last.step);
    rp_json_write_value(&w, "recipe", &loop->recipe.root);
    if (loop->task.evaluate && loop->saved) write_best(&w, loop);
    rp_json_write_real(&w, "loss_sum", loop->history.loss_sum);
    rp_status status = rp_seal_files(&w, dir, files, count, err);
    if (!status) return rp_seal_write(&w, dir, rp_loop_training_file, err);
    rp_json_writer_drop(&w);
    return status;
}

/* ---- finding one ---- */

/* Is the checkpoint what was written? Both files, of which the first holds the hash of the second. */
static rp_status check(const char *path, rp_json_document *out, rp_error *err) {
    rp_json_document state = {0};
    rp_status status = rp_sealed_read(path, rp_loop_training_file, out, err);
    if (status) return status;
    status = rp_sealed_read(path, "trainer.json", &state, err);
    const rp_json *version = rp_json_get(&out->root, "version"), *step = rp_json_get(&out->root, "step");
    if (!status && (!rp_json_is(version, RP_JSON_INTEGER) || version->integer != VERSION))
        status = rp_fail(err, RP_ERROR_UNSUPPORTED,
                         "%s/%s: version: it was written by another version of Reprise; go on with that one",
                         rp_path_shown(path), rp_loop_training_file);
    if (!status && (!rp_json_is(step, RP_JSON_INTEGER) || step->integer < 1 ||
                    !rp_json_is(rp_json_get(&state.root, "step"), RP_JSON_INTEGER) ||
                    rp_json_get(&state.root, "step")->integer != step->integer))
        status = rp_fail(err, RP_ERROR_FORMAT, "%s/%s: step: is not that of trainer.json",
                         rp_path_shown(path), rp_loop_training_file);
    rp_json_finish(&state);
    if (status) rp_json_finish(out);
    return status;
}

rp_status rp_loop_find_checkpoint(rp_loop *loop, rp_error *err) {
    uint64_t *steps = NULL;
    size_t count = 0;
    rp_error first = {0};
    rp_log nobody = {0};
    rp_status status = list(loop->out, &steps, &count, err);
    for (size_t i = count; !status && i-- > 0 && !loop->resume;) {
        char name[40], path[PATH_BYTES];
        snprintf(name, sizeof name, "checkpoint-%" PRIu64, steps[i]);
        status = join(path, loop->out, name, err);
        if (!status) status = check(path, &loop->from, err);
        if (!status && !(loop->resume = strdup(path))) status = rp_fail_memory(err, "a path", strlen(path));
        if (status != RP_ERROR_FILE && status != RP_ERROR_FORMAT) continue;
        status = RP_OK;
        rp_log_say(&nobody, RP_LOG_WARNING, "%s; an earlier checkpoint is looked for", err->message);
        if (!first.status) first = *err;
    }
    free(steps);
    if (status || loop->resume || !first.status) return status;
    return rp_fail(err, first.status, "%.380s; no good checkpoint is left: name another folder to begin anew",
                   first.message);
}

/* ---- going on ---- */

static rp_status restore_best(rp_loop *loop, rp_error *err) {
    char from[PATH_BYTES], to[PATH_BYTES];
    const rp_json *best = saved_value(loop, "best"), *step = rp_json_get(best, "step");
    if (!best) return RP_OK;
    if (!rp_json_is(step, RP_JSON_INTEGER))
        return rp_fail(err, RP_ERROR_FORMAT, "%s/%s: best: must have a step", rp_path_shown(loop->resume),
                       rp_loop_training_file);
    rp_status status = join(from, loop->resume, "best", err);
    if (!status) status = join(to, loop->work, "best", err);
    if (!status) status = rp_loop_files_link(from, to, err);
    if (status) return status;
    loop->best_step = (uint64_t)step->integer;
    if (!rp_json_number(rp_json_get(best, "value"), &loop->best)) loop->best = -INFINITY;
    loop->saved = true;
    return RP_OK;
}

rp_status rp_loop_restore(rp_loop *loop, uint64_t *done, rp_error *err) {
    rp_status status = rp_loop_read_state(loop, loop->resume, err);
    if (!status) status = restore_best(loop, err);
    if (status) return status;
    rp_json_number(saved_value(loop, "loss_sum"), &loop->history.loss_sum);
    const rp_loop_points *dev = &loop->history.dev;
    if (dev->count) {
        loop->last.dev = dev->items[dev->count - 1].value;
        loop->last.dev_metric = rp_loop_metric(loop);
    }
    *done = loop->last.step = (uint64_t)saved_value(loop, "step")->integer;
    if (*done <= loop->params.steps) return RP_OK;
    return rp_fail(err, RP_ERROR_ARGUMENT, "%s: was written after more steps than are asked for",
                   rp_path_shown(loop->resume));
}

/* ---- writing one ---- */

/* The files of the folder that trainer.json says nothing of. */
static bool is_beside(const char *name) {
    return !strncmp(name, "best/", 5) || !strcmp(name, "trainer.json") || !strcmp(name, "trainer_state.json");
}

static rp_status seal(const rp_loop *loop, const char *dir, rp_error *err) {
    rp_loop_files files = {0};
    size_t count = 0;
    rp_status status = rp_loop_files_list(dir, &files, err);
    for (size_t i = 0; !status && i < files.count; i++)
        if (is_beside(files.names[i])) files.names[count++] = files.names[i];
    if (!status) status = rp_loop_write_training(loop, dir, (const char *const *)files.names, count, err);
    rp_loop_files_finish(&files);
    return status;
}

static rp_status write_all(const rp_loop *loop, const char *dir, rp_error *err) {
    char best[PATH_BYTES], copy[PATH_BYTES];
    rp_status status = join(best, loop->work, "best", err);
    if (!status) status = join(copy, dir, "best", err);
    if (!status) status = rp_trainer_save_state(loop->trainer, dir, err);
    if (!status && loop->saved) status = rp_loop_files_link(best, copy, err);
    if (!status && loop->saved) status = rp_loop_sync_folder(copy, err);
    if (!status) status = rp_loop_write_state(loop, dir, err);
    if (!status) status = seal(loop, dir, err);
    return status ? status : rp_loop_sync_folder(dir, err);
}

/* Move a checkpoint to where it is removed: it goes in one step. */
static rp_status drop(const rp_loop *loop, const char *path, rp_error *err) {
    char aside[PATH_BYTES];
    rp_status status = join(aside, loop->work, "old", err);
    if (!status && (!rp_os_remove_tree(aside) || (rp_os_rename(path, aside) && errno != ENOENT)))
        status = rp_fail_write(path, err);
    if (!status) rp_os_remove_tree(aside);
    return status;
}

/* Keep as many as are asked for, the last ones. */
static rp_status drop_oldest(const rp_loop *loop, rp_error *err) {
    uint64_t *steps = NULL;
    size_t count = 0;
    rp_status status = loop->params.keep ? list(loop->out, &steps, &count, err) : RP_OK;
    for (size_t i = 0; !status && i < count && count - i > loop->params.keep; i++) {
        char name[40], path[PATH_BYTES];
        snprintf(name, sizeof name, "checkpoint-%" PRIu64, steps[i]);
        if (steps[i] == loop->last.step) continue; /* damaged ones may be later */
        status = join(path, loop->out, name, err);
        if (!status) status = drop(loop, path, err);
    }
    free(steps);
    return status;
}

rp_status rp_loop_checkpoint(rp_loop *loop, rp_error *err) {
    char name[40], dir[PATH_BYTES], place[PATH_BYTES];
    snprintf(name, sizeof name, "checkpoint-%" PRIu64, loop->last.step);
    rp_status status = join(dir, loop->work, name, err);
    if (!status) status = join(place, loop->out, name, err);
    if (!status) status = write_all(loop, dir, err);
    if (!status) status = drop(loop, place, err); /* it is a damaged one */
    if (!status && rp_os_rename(dir, place)) status = rp_fail_write(place, err);
    if (!status) status = rp_loop_sync_folder(loop->out, err);
    return status ? status : drop_oldest(loop, err);
}
