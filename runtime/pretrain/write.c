/* Files that instances are written to: those of a training, and those that a training is evaluated by. */
#include <errno.h>
#include <stdio.h>

#include "base/os.h"
#include "loader/json.h"
#include "pretrain/pretrain.h"

/* ---- a file ---- */

/* As rp_eval has it: what is a link or no regular file, such as /dev/stdout, stays what it is. */
static rp_status open_file(const char *path, char **part, FILE **file, rp_error *err) {
    rp_os_info info;
    bool plain = rp_os_lstat(path, &info) || info.kind == RP_OS_FILE;
    *part = malloc(strlen(path) + 6);
    if (!*part) return rp_fail_memory(err, "the instances", strlen(path));
    strcat(strcpy(*part, path), plain ? ".part" : "");
    *file = rp_os_fopen(*part, "wb");
    return *file ? RP_OK
                 : rp_fail(err, RP_ERROR_FILE, "%s: cannot be written: %s; choose another file",
                           rp_path_shown(*part), strerror(errno));
}

static rp_status write_one(FILE *file, const char *path, const rp_instance *instance, rp_error *err) {
    rp_json_writer w = {0};
    size_t size = 0;
    rp_instance_write(&w, instance);
    char *text = rp_json_writer_finish(&w, &size);
    if (!text) return rp_fail_memory(err, "an instance", 16ull * instance->count);
    bool written = fwrite(text, 1, size, file) == size;
    int why = errno;
    free(text);
    return written ? RP_OK
                   : rp_fail(err, RP_ERROR_FILE, "%s: cannot be written: %s; check the disk",
                             rp_path_shown(path), strerror(why));
}

static rp_status close_file(const char *path, char *part, FILE *file, rp_status status, rp_error *err) {
    bool renamed = part && strcmp(part, path) != 0;
    if (file && fclose(file) && !status)
        status = rp_fail(err, RP_ERROR_FILE, "%s: cannot be written: %s; check the disk", rp_path_shown(path),
                         strerror(errno));
    if (!status && renamed && rp_os_rename(part, path))
        status = rp_fail(err, RP_ERROR_FILE, "%s: cannot be written: %s; choose another file",
                         rp_path_shown(path), strerror(errno));
    if (file && status && renamed) rp_os_unlink(part);
    free(part);
    return status;
}

/* ---- what is learnt ---- */

/* The instances of one step. `file` NULL: another process writes them. */
static rp_status write_step(rp_pretrain_run *run, uint64_t step, FILE *file, rp_error *err) {
    const rp_pretrain_params *p = &run->params;
    uint64_t epoch = step / run->steps_of_epoch, first = step % run->steps_of_epoch * p->batch_size;
    rp_status status = RP_OK;
    for (uint64_t i = first; file && !status && i < first + p->batch_size && i < run->source.count; i++) {
        rp_instance instance;
        status = rp_pretrain_source_read(&run->source, epoch, i, &instance, err);
        if (!status) status = write_one(file, p->write_instances, &instance, err);
    }
    return status ? status : rp_call_check(err);
}

/* The others of a world wait for the first process after each step: together that may take longer than they
 * would be patient. */
rp_status rp_pretrain_write(rp_pretrain_run *run, rp_error *err) {
    const rp_pretrain_params *p = &run->params;
    char *part = NULL;
    FILE *file = NULL;
    rp_status status = rp_world_rank(p->world) ? RP_OK : open_file(p->write_instances, &part, &file, err);
    status = rp_world_agree(p->world, status, err);
    for (uint64_t step = 0; !status && step < run->steps; step++) {
        status = rp_world_agree(p->world, write_step(run, step, file, err), err);
        if (!status && !p->out && step + 1 < run->steps) rp_call_progress((size_t)(step + 1));
    }
    return rp_world_rank(p->world) ? status : close_file(p->write_instances, part, file, status, err);
}

/* ---- what it is evaluated by ---- */

static rp_status write_corpus(rp_corpus *corpus, FILE *file, const char *path, rp_error *err) {
    rp_status status = RP_OK;
    for (uint64_t i = 0; !status && i < rp_corpus_count(corpus); i++) {
        rp_instance instance;
        status = rp_call_check(err);
        if (!status) status = rp_corpus_read(corpus, 0, i, &instance, err);
        if (!status) status = write_one(file, path, &instance, err);
    }
    return status;
}

static bool is_prepared(const char *path) {
    static const char *const ends[] = {".jsonl", ".ndjson"};
    size_t size = strlen(path);
    for (size_t i = 0; i < RP_COUNT(ends); i++) {
        size_t end = strlen(ends[i]);
        if (size > end && !strcmp(path + size - end, ends[i])) return true;
    }
    return false;
}

/* Make instances of the text, in its order, where the training works. */
static rp_status write_dev(rp_pretrain_run *run, rp_error *err) {
    const rp_pretrain_params *p = &run->params;
    rp_corpus_params params = rp_pretrain_corpus_params(p);
    rp_corpus *corpus = NULL;
    char *part = NULL;
    FILE *file = NULL;
    params.no_shuffle = true;
    if (!run->tokenizer)
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       "%s: is text, and the model has no tokenizer; prepare its instances, in a file whose "
                       "name ends in .jsonl (--write-instances)",
                       rp_path_shown(p->dev));
    run->dev = rp_path_join(run->loop.work, "dev.jsonl");
    if (!run->dev) return rp_fail_memory(err, "a path", strlen(run->loop.work));
    rp_status status = rp_corpus_open(&p->dev, 1, run->tokenizer, &params, &corpus, err);
    if (!status) status = open_file(run->dev, &part, &file, err);
    if (!status) status = write_corpus(corpus, file, run->dev, err);
    rp_corpus_close(&corpus);
    return close_file(run->dev, part, file, status, err);
}

rp_status rp_pretrain_prepare_dev(rp_pretrain_run *run, rp_error *err) {
    const rp_data_params params = rp_pretrain_data_params(run);
    const char *path = run->params.dev;
    rp_data *data = NULL;
    if (!path || rp_world_rank(run->params.world)) return RP_OK;
    if (!is_prepared(path)) return write_dev(run, err);
    rp_status status = rp_data_open(path, &params, &data, err);
    rp_data_close(&data);
    if (!status && !(run->dev = strdup(path))) status = rp_fail_memory(err, "a path", strlen(path));
    return status;
}
