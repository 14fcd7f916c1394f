/* Where instances come from, and the file that they are written to. */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/json.h"
#include "pretrain/pretrain.h"

/* ---- opening ---- */

static rp_status open_corpus(rp_pretrain_run *run, rp_error *err) {
    const rp_pretrain_params *p = &run->params;
    const rp_corpus_params params = {.max_tokens = p->max_tokens,
                                     .max_predictions = p->max_predictions,
                                     .ngram = p->ngram,
                                     .masked_share = p->masked_share,
                                     .short_share = p->short_share,
                                     .seed = p->seed,
                                     .no_shuffle = p->no_shuffle,
                                     .skip_bad = p->skip_bad};
    rp_status status =
        rp_corpus_open(p->corpus, p->corpus_count, run->tokenizer, &params, &run->source.corpus, err);
    if (status) return status;
    const rp_corpus_counts *counts = rp_corpus_get_counts(run->source.corpus);
    run->source.count = rp_corpus_count(run->source.corpus);
    bool much = counts->bad || counts->dropped > run->source.count / 4;
    rp_log_say(&(rp_log){0}, much ? RP_LOG_WARNING : RP_LOG_NOTE,
               "the corpus has %llu tokens in %llu documents, which give %llu instances; %llu chunks of one "
               "line give none (shorter lines do), and %llu bad lines were left out",
               (unsigned long long)counts->tokens, (unsigned long long)counts->documents,
               (unsigned long long)run->source.count, (unsigned long long)counts->dropped,
               (unsigned long long)counts->bad);
    return RP_OK;
}

static rp_status open_prepared(rp_pretrain_run *run, rp_error *err) {
    const rp_pretrain_params *p = &run->params;
    rp_pretrain_source *s = &run->source;
    const rp_data_params params = {.format = RP_DATA_JSONL,
                                   .kind = RP_DATA_INSTANCE,
                                   .skip_bad = p->skip_bad,
                                   .max_tokens = p->max_tokens,
                                   .vocab_size = run->config.vocab_size,
                                   .type_vocab_size = run->config.type_vocab_size};
    s->files = rp_new_array(rp_data *, p->instance_count);
    s->firsts = rp_new_array(uint64_t, p->instance_count);
    if (!s->files || !s->firsts) return rp_fail_memory(err, "the instances", 16ull * p->instance_count);
    for (size_t i = 0; i < p->instance_count; i++) {
        rp_status status = rp_data_open(p->instances[i], &params, &s->files[i], err);
        if (status) return status;
        s->file_count++;
        s->firsts[i] = s->count;
        s->count += rp_data_count(s->files[i]);
    }
    return RP_OK;
}

rp_status rp_pretrain_source_open(rp_pretrain_run *run, rp_error *err) {
    run->source.seed = run->params.seed;
    run->source.no_shuffle = run->params.no_shuffle;
    return run->params.corpus_count ? open_corpus(run, err) : open_prepared(run, err);
}

void rp_pretrain_source_close(rp_pretrain_source *s) {
    rp_corpus_close(&s->corpus);
    for (size_t i = 0; i < s->file_count; i++) rp_data_close(&s->files[i]);
    free(s->files);
    free(s->firsts);
}

/* ---- reading ---- */

rp_status rp_pretrain_source_read(rp_pretrain_source *s, uint64_t epoch, uint64_t i, rp_instance *out,
                                  rp_error *err) {
    if (s->corpus) return rp_corpus_read(s->corpus, epoch, i, out, err);
    uint64_t row = s->no_shuffle ? i : rp_data_permute(i, s->count, s->seed, epoch);
    size_t file = 0, last = s->file_count;
    while (last - file > 1) {
        size_t middle = file + (last - file) / 2;
        if (s->firsts[middle] <= row)
            file = middle;
        else
            last = middle;
    }
    rp_data_row read;
    rp_status status = rp_data_read(s->files[file], row - s->firsts[file], &read, err);
    if (!status) *out = read.instance;
    return status;
}

/* ---- writing ---- */

/* As rp_eval has it: what is a link or no regular file, such as /dev/stdout, stays what it is. */
static rp_status open_file(const char *path, char **part, FILE **file, rp_error *err) {
    struct stat info;
    bool plain = lstat(path, &info) || S_ISREG(info.st_mode);
    *part = malloc(strlen(path) + 6);
    if (!*part) return rp_fail_memory(err, "the instances", strlen(path));
    strcat(strcpy(*part, path), plain ? ".part" : "");
    *file = fopen(*part, "wb");
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

static rp_status write_all(rp_pretrain_run *run, FILE *file, rp_error *err) {
    const rp_pretrain_params *p = &run->params;
    rp_status status = RP_OK;
    for (uint64_t step = 0; !status && step < run->steps; step++) {
        uint64_t epoch = step / run->steps_of_epoch, first = step % run->steps_of_epoch * p->batch_size;
        for (uint64_t i = first; !status && i < first + p->batch_size && i < run->source.count; i++) {
            rp_instance instance;
            status = rp_pretrain_source_read(&run->source, epoch, i, &instance, err);
            if (!status) status = write_one(file, p->write_instances, &instance, err);
        }
        if (!status) status = rp_call_check(err);
        if (!status && !p->out && step + 1 < run->steps) rp_call_progress((size_t)(step + 1));
    }
    return status;
}

rp_status rp_pretrain_write(rp_pretrain_run *run, rp_error *err) {
    const char *path = run->params.write_instances;
    char *part = NULL;
    FILE *file = NULL;
    rp_status status = open_file(path, &part, &file, err);
    if (!status) status = write_all(run, file, err);
    bool opened = file, renamed = part && strcmp(part, path) != 0;
    if (opened && fclose(file) && !status)
        status = rp_fail(err, RP_ERROR_FILE, "%s: cannot be written: %s; check the disk", rp_path_shown(path),
                         strerror(errno));
    if (!status && renamed && rename(part, path))
        status = rp_fail(err, RP_ERROR_FILE, "%s: cannot be written: %s; choose another file",
                         rp_path_shown(path), strerror(errno));
    if (opened && status && renamed) unlink(part);
    free(part);
    return status;
}
