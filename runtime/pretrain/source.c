/* Where instances come from. */
#include "base/os.h"
#include "loader/json.h"
#include "pretrain/pretrain.h"

enum { MOST_OPEN = 32 }; /* files at once: there may be more of them than a process may open */

/* ---- opening ---- */

/* Threads that tokenize: the processes of this machine share its processors. 0: there is one of them. */
static uint32_t threads_of(const rp_world *world) {
    uint32_t share = world ? (uint32_t)rp_os_processors() / rp_world_local_size(world) : 0;
    return world && !share ? 1 : share;
}

rp_corpus_params rp_pretrain_corpus_params(const rp_pretrain_params *p) {
    return (rp_corpus_params){.max_tokens = p->max_tokens,
                              .max_predictions = p->max_predictions,
                              .ngram = p->ngram,
                              .masked_share = p->masked_share,
                              .short_share = p->short_share,
                              .seed = p->seed,
                              .no_shuffle = p->no_shuffle,
                              .skip_bad = p->skip_bad,
                              .threads = threads_of(p->world)};
}

static rp_status open_corpus(rp_pretrain_run *run, rp_error *err) {
    const rp_pretrain_params *p = &run->params;
    const rp_corpus_params params = rp_pretrain_corpus_params(p);
    rp_status status =
        rp_corpus_open(p->corpus, p->corpus_count, run->tokenizer, &params, &run->source.corpus, err);
    if (status) return status;
    const rp_corpus_counts *counts = rp_corpus_get_counts(run->source.corpus);
    run->source.count = rp_corpus_count(run->source.corpus);
    bool much = counts->bad || counts->dropped > run->source.count / 4;
    if (rp_world_rank(p->world)) return RP_OK;
    rp_log_say(&(rp_log){0}, much ? RP_LOG_WARNING : RP_LOG_NOTE,
               "the corpus has %llu tokens in %llu documents, which give %llu instances; %llu chunks of one "
               "line give none (shorter lines do), and %llu bad lines were left out",
               (unsigned long long)counts->tokens, (unsigned long long)counts->documents,
               (unsigned long long)run->source.count, (unsigned long long)counts->dropped,
               (unsigned long long)counts->bad);
    return RP_OK;
}

rp_data_params rp_pretrain_data_params(const rp_pretrain_run *run) {
    return (rp_data_params){.format = RP_DATA_JSONL,
                            .kind = RP_DATA_INSTANCE,
                            .skip_bad = run->params.skip_bad,
                            .max_tokens = run->params.max_tokens,
                            .vocab_size = run->config.vocab_size,
                            .type_vocab_size = run->config.type_vocab_size};
}

static rp_status open_prepared(rp_pretrain_run *run, rp_error *err) {
    const rp_pretrain_params *p = &run->params;
    rp_pretrain_source *s = &run->source;
    const rp_data_params params = rp_pretrain_data_params(run);
    s->files = rp_new_array(rp_data *, p->instance_count);
    s->firsts = rp_new_array(uint64_t, p->instance_count);
    s->awake = rp_new_array(size_t, MOST_OPEN);
    if (!s->files || !s->firsts || !s->awake)
        return rp_fail_memory(err, "the instances", 16ull * p->instance_count);
    for (size_t i = 0; i < p->instance_count; i++) {
        rp_status status = rp_data_open(p->instances[i], &params, &s->files[i], err);
        if (status) return status;
        s->file_count++;
        s->firsts[i] = s->count;
        s->count += rp_data_count(s->files[i]);
        rp_data_rest(s->files[i]);
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
    free(s->awake);
}

/* ---- reading ---- */

/* File number `file` is read: one that was opened long ago is closed, where it is one too many. */
static void let_rest(rp_pretrain_source *s, size_t file) {
    for (size_t i = 0; i < s->awake_count; i++)
        if (s->awake[i] == file) return;
    if (s->awake_count < MOST_OPEN) {
        s->awake[s->awake_count++] = file;
        return;
    }
    rp_data_rest(s->files[s->awake[s->next_rest]]);
    s->awake[s->next_rest] = file;
    s->next_rest = (s->next_rest + 1) % MOST_OPEN;
}

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
    let_rest(s, file);
    rp_status status = rp_data_read(s->files[file], row - s->firsts[file], &read, err);
    if (!status) *out = read.instance;
    return status;
}
