/* The model that is trained: one to go on from, or a new one of a configuration and a vocabulary. */

#include "base/os.h"
#include "loader/convert.h"
#include "loader/json.h"
#include "loader/new_model.h"
#include "loader/tokenizer.h"
#include "pretrain/pretrain.h"
#include "reprise/pull.h"

/* ---- the folder ---- */

/* Write the new model where the training works. In a world the first process does, and the others read it. */
static rp_status make_model(rp_pretrain_run *run, rp_error *err) {
    const rp_pretrain_params *p = &run->params;
    bool first = !rp_world_rank(p->world);
    run->dir = rp_path_join(run->loop.out, ".training/fresh");
    rp_status status = run->dir ? RP_OK : rp_fail_memory(err, "a path", strlen(run->loop.out));
    if (!status && first) status = rp_loop_output_work(&run->loop, err);
    if (!status && first)
        status = rp_new_model_write(p->config, p->tokenizer, RP_TRAIN_BOTH, p->seed, run->dir, err);
    return rp_world_agree(p->world, status, err);
}

static bool is_file(const char *path) {
    rp_os_info info;
    return !rp_os_stat(path, &info) && info.kind != RP_OS_FOLDER;
}

/* Open the vocabulary that the file `path` holds, as the tokenizer of a new model would be: in a folder of
 * this call alone. */
static rp_status open_vocabulary(rp_pretrain_run *run, const char *path, rp_error *err) {
    char *place = rp_path_join(rp_os_temporary(), "tokenizer");
    rp_conversion c = {.sub = "", .err = err, .config = {.max_positions = RP_CORPUS_TOKENS_MAX}};
    if (!place) return rp_fail_memory(err, "a path", strlen(path));
    rp_status status = rp_staging_open(place, true, &c.staging, err);
    if (!status) status = rp_convert_vocabulary(&c, path);
    if (!status) status = rp_tokenizer_open(c.staging.dir, &run->tokenizer, err);
    rp_staging_close(&c.staging);
    free(place);
    return status;
}

static rp_status find_tokenizer(rp_pretrain_run *run, rp_error *err) {
    const char *path = run->params.tokenizer;
    bool has = true;
    rp_status status =
        run->dir && !run->params.corpus_count ? rp_tokenizer_exists(run->dir, &has, err) : RP_OK;
    if (status || !has) return status; /* prepared instances need none */
    if (run->dir) return rp_tokenizer_open(run->dir, &run->tokenizer, err);
    return is_file(path) ? open_vocabulary(run, path, err) : rp_tokenizer_open(path, &run->tokenizer, err);
}

/* ---- what it takes ---- */

static bool is_share(double x) {
    return x >= 0 && x < 1;
}

static rp_status check_config(const rp_pretrain_run *run, rp_error *err) {
    const rp_config *c = &run->config;
    uint32_t ids = run->tokenizer ? rp_tokenizer_vocab_size(run->tokenizer) : 0;
    if (ids > c->vocab_size)
        return rp_fail(err, RP_ERROR_FORMAT,
                       "%s: vocab_size is %u, and the tokenizer has %u ids; write that many",
                       rp_path_shown(c->path), (unsigned)c->vocab_size, (unsigned)ids);
    if (c->type_vocab_size < 2)
        return rp_fail(err, RP_ERROR_UNSUPPORTED,
                       "%s: type_vocab_size is %u, and pre-training tells two texts apart by their types; "
                       "write 2",
                       rp_path_shown(c->path), (unsigned)c->type_vocab_size);
    if (run->params.max_tokens > c->max_positions)
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       "max_tokens: %u tokens are more than the %u that the model takes "
                       "(max_position_embeddings)",
                       (unsigned)run->params.max_tokens, (unsigned)c->max_positions);
    if (is_share(c->hidden_dropout) && is_share(c->attention_dropout) && is_share(c->classifier_dropout))
        return RP_OK;
    return rp_fail(
        err, RP_ERROR_FORMAT,
        "%s: the probabilities of dropout (hidden_dropout_prob, attention_probs_dropout_prob) must "
        "be numbers from 0 to below 1",
        rp_path_shown(c->path));
}

rp_status rp_pretrain_find(rp_pretrain_run *run, rp_error *err) {
    rp_pretrain_params *p = &run->params;
    rp_status status = p->init               ? rp_find_model(p->init, &run->dir, err)
                       : p->config && p->out ? make_model(run, err)
                                             : RP_OK;
    if (!status) status = find_tokenizer(run, err);
    if (!status && run->dir) status = rp_config_load(run->dir, &run->config, err);
    if (!status && run->dir) status = check_config(run, err);
    if (status) return status;
    uint32_t most = run->dir && run->config.max_positions < 512 ? run->config.max_positions : 512;
    if (!p->max_tokens) p->max_tokens = most;
    return RP_OK;
}

void rp_pretrain_forget(rp_pretrain_run *run) {
    rp_tokenizer_close(&run->tokenizer);
    rp_config_finish(&run->config);
    free(run->dir);
}
