#include "loader/new_model.h"

#include "base/os.h"
#include "loader/convert.h"
#include "loader/find_model.h"
#include "loader/json.h"
#include "loader/json_write.h"
#include "loader/random.h"
#include "loader/tokenizer.h"

/* One call. */
typedef struct making {
    rp_conversion c;
    rp_json_document document; /* of the config; empty for a published size */
    rp_tokenizer *tokenizer;
    char *tokenizer_dir;
    rp_error *err;
} making;

static bool is_file(const char *path) {
    rp_os_info info;
    return !rp_os_stat(path, &info) && info.kind != RP_OS_FOLDER;
}

/* ---- the configuration ---- */

static rp_status read_config(making *m, const char *name) {
    rp_config *c = &m->c.config;
    rp_status status =
        is_file(name) ? rp_config_load_file(name, c, m->err) : rp_config_preset(name, c, m->err);
    if (status) return status;
    if (c->family == RP_FAMILY_DISTILBERT)
        return rp_fail(m->err, RP_ERROR_UNSUPPORTED,
                       "%s: a DistilBERT cannot be trained; take an ALBERT or a BERT",
                       rp_path_shown(c->path));
    return strcmp(c->path, name) || is_file(name) ? rp_json_load(c->path, &m->document, m->err) : RP_OK;
}

/* The deviation of random weights. */
static rp_status read_deviation(const making *m, double *out) {
    const rp_json *value = rp_json_get(&m->document.root, "initializer_range");
    *out = 0.02;
    if (!value || (rp_json_number(value, out) && *out > 0 && *out <= 1)) return RP_OK;
    return rp_fail(m->err, RP_ERROR_FORMAT, "%s: initializer_range: must be a number above 0, and at most 1",
                   rp_path_shown(m->c.config.path));
}

static rp_status check_vocabulary(making *m) {
    rp_config *c = &m->c.config;
    rp_special_ids ids = rp_tokenizer_special_ids(m->tokenizer);
    uint32_t words = rp_tokenizer_vocab_size(m->tokenizer);
    bool said = rp_json_get(&m->document.root, "vocab_size");
    if (!said) c->vocab_size = words;
    if (!rp_json_get(&m->document.root, "pad_token_id"))
        c->pad_id = ids.pad >= 0 ? (uint32_t)ids.pad : UINT32_MAX;
    if (words > c->vocab_size)
        return rp_fail(m->err, RP_ERROR_FORMAT,
                       "%s: vocab_size: is %u, and the tokenizer has %u ids; write that many",
                       rp_path_shown(c->path), c->vocab_size, words);
    if (ids.cls < 0 || ids.sep < 0 || (m->c.weights.heads & RP_HEAD_MASKED_LM && ids.mask < 0))
        return rp_fail(
            m->err, RP_ERROR_FORMAT,
            "%s: the tokenizer lacks one of [CLS], [SEP] and [MASK]; make a vocabulary that has them",
            rp_path_shown(m->tokenizer->dir));
    return rp_tokenizer_check_ids(m->tokenizer, c->vocab_size, m->err);
}

/* A field with an id that Hugging Face would else take from its own defaults. */
static void write_id(rp_json_writer *w, const making *m, const char *field, int32_t id) {
    if (id >= 0 && !rp_json_get(&m->document.root, field)) rp_json_write_integer(w, field, id);
}

static void write_size(rp_json_writer *w, const making *m, const char *field, uint32_t value) {
    if (!rp_json_get(&m->document.root, field)) rp_json_write_integer(w, field, value);
}

/* What the file says, and what it does not. */
static rp_status write_config(making *m) {
    static const char *const rewritten[] = {"architectures", "model_type", "torch_dtype", "_name_or_path",
                                            "transformers_version"};
    const rp_json *root = &m->document.root;
    const rp_config *c = &m->c.config;
    rp_special_ids ids = rp_tokenizer_special_ids(m->tokenizer);
    rp_json_writer w = {0};
    size_t bytes = 0;
    rp_json_write_open(&w, NULL, '{');
    rp_json_write_open(&w, "architectures", '[');
    rp_json_write_string(&w, NULL, m->c.architecture);
    rp_json_write_close(&w, ']');
    rp_json_write_string(&w, "model_type", rp_names_of(c->family)->prefix);
    rp_json_write_string(&w, "torch_dtype", "float32");
    for (uint32_t i = 0; i < rp_json_count(root, RP_JSON_OBJECT); i++) {
        bool copies = true;
        for (size_t k = 0; k < RP_COUNT(rewritten); k++)
            copies = copies && strcmp(root->members[i].key, rewritten[k]);
        if (copies) rp_json_write_value(&w, root->members[i].key, &root->members[i].value);
    }
    write_size(&w, m, "vocab_size", c->vocab_size);
    write_size(&w, m, "hidden_size", c->hidden_size);
    write_size(&w, m, "intermediate_size", c->intermediate_size);
    write_size(&w, m, "num_hidden_layers", c->layers);
    write_size(&w, m, "num_attention_heads", c->attention_heads);
    write_size(&w, m, "max_position_embeddings", c->max_positions);
    write_size(&w, m, "type_vocab_size", c->type_vocab_size);
    if (c->family == RP_FAMILY_ALBERT) {
        write_size(&w, m, "embedding_size", c->embedding_size);
        write_size(&w, m, "num_hidden_groups", c->groups);
        write_size(&w, m, "inner_group_num", c->inner_layers);
        write_id(&w, m, "bos_token_id", ids.cls);
        write_id(&w, m, "eos_token_id", ids.sep);
    }
    write_id(&w, m, "pad_token_id", ids.pad);
    rp_json_write_close(&w, '}');
    char *text = rp_json_writer_finish(&w, &bytes);
    return rp_staging_text(&m->c.staging, "", "config.json", text, bytes, m->err);
}

/* ---- the tokenizer ---- */

static rp_status write_tokenizer(making *m, const char *name) {
    rp_status status;
    if (is_file(name)) {
        status = rp_convert_vocabulary(&m->c, name);
    } else {
        status = rp_find_model(name, &m->tokenizer_dir, m->err);
        m->c.dir = m->tokenizer_dir;
        if (!status) status = rp_convert_tokenizer(&m->c);
    }
    return status ? status : rp_tokenizer_open(m->c.staging.dir, &m->tokenizer, m->err);
}

/* ---- the whole ---- */

static rp_status make(making *m, const char *config, const char *tokenizer, unsigned heads, uint64_t seed) {
    double deviation = 0;
    if (heads & RP_HEAD_ORDER || !heads) heads |= RP_HEAD_POOLER;
    rp_status status = read_config(m, config);
    if (!status) status = read_deviation(m, &deviation);
    if (!status) status = write_tokenizer(m, tokenizer);
    m->c.weights.heads = heads;
    if (!status) status = check_vocabulary(m);
    if (status) return status;
    m->c.config.head = heads; /* whatever class the file names */
    rp_convert_name_class(&m->c);
    status = write_config(m);
    if (!status) status = rp_weights_new(&m->c.config, heads, deviation, seed, &m->c.weights, m->err);
    if (!status) status = rp_convert_weights(&m->c, "model.safetensors");
    return status ? status : rp_staging_commit(&m->c.staging, NULL, 0, m->err);
}

rp_status rp_new_model_write(const char *config, const char *tokenizer, unsigned heads, uint64_t seed,
                             const char *out, rp_error *err) {
    making m = {.c = {.sub = "", .err = err}, .err = err};
    rp_status status = rp_staging_open(out, false, &m.c.staging, err);
    if (!status) status = make(&m, config, tokenizer, heads, seed);
    rp_staging_close(&m.c.staging);
    rp_weights_finish(&m.c.weights);
    rp_config_finish(&m.c.config);
    rp_json_finish(&m.document);
    rp_tokenizer_close(&m.tokenizer);
    free(m.tokenizer_dir);
    return status;
}
