#include "loader/weights.h"

#include <stdio.h>

#include "base/half.h"
#include "loader/json.h"
#include "loader/names.h"
#include "loader/weights_files.h"

typedef struct reader {
    const rp_config *config;
    rp_weights *out;
    rp_error *err;
} reader;

/* ---- finding ---- */

/* `name` in the files: under the prefix of the family where `prefixed` allows it, else as it is. */
static rp_tensor_entry *find(const reader *r, const char *name, bool prefixed, rp_tensor_file **file) {
    char full[RP_NAME_SIZE + 8];
    rp_tensor_entry *found = NULL;
    if (prefixed) {
        snprintf(full, sizeof full, "%s.%s", r->config->family == RP_FAMILY_BERT ? "bert" : "albert", name);
        found = rp_weight_files_find(r->out->files, full, file);
    }
    return found ? found : rp_weight_files_find(r->out->files, name, file);
}

static rp_tensor_entry *find_slot(const reader *r, const rp_slot *slot, rp_tensor_file **file) {
    rp_tensor_entry *found = find(r, slot->name, slot->prefixed, file);
    return found || !*slot->old_name ? found : find(r, slot->old_name, slot->prefixed, file);
}

static rp_status fail_missing(const reader *r, const char *name, bool prefixed) {
    bool bert = r->config->family == RP_FAMILY_BERT;
    return rp_fail(
        r->err, RP_ERROR_FORMAT,
        "%s: %s: the tensor is missing%s%s%s; the file does not belong to its config.json or is incomplete",
        rp_path_shown(r->out->files->path), name, prefixed ? ", with and without \"" : "",
        prefixed ? (bert ? "bert." : "albert.") : "", prefixed ? "\" before it" : "");
}

/* Which decoder.weight an untied or oddly saved model has. */
static const char *decoder_name(const rp_config *c) {
    return c->family == RP_FAMILY_BERT ? "cls.predictions.decoder.weight" : "predictions.decoder.weight";
}

static rp_status read_slot(const rp_slot *slot, void *context) {
    reader *r = context;
    rp_tensor_file *file = NULL;
    rp_tensor_entry *found = find_slot(r, slot, &file);
    // of two tied tensors some tools store the other one
    if (!found && slot->tensor == &r->out->word && r->config->tie_word_embeddings)
        found = find(r, decoder_name(r->config), false, &file);
    if (!found) return fail_missing(r, slot->name, slot->prefixed);
    r->out->parameters += (uint64_t)slot->rows * slot->columns;
    return rp_tensor_file_view(file, found, slot->kind == RP_SLOT_MATRIX ? 2 : 1, slot->rows, slot->columns,
                               slot->reason, slot->tensor, r->err);
}

typedef struct search {
    const reader *r;
    bool found;
} search;

static rp_status search_slot(const rp_slot *slot, void *context) {
    search *s = context;
    rp_tensor_file *file = NULL;
    s->found = s->found || find_slot(s->r, slot, &file);
    return RP_OK;
}

/* True when at least one tensor of `part` is in the files. */
static bool has_part(const reader *r, unsigned part) {
    search s = {.r = r};
    rp_slots_each(r->config, r->out, part, search_slot, &s);
    return s.found;
}

/* ---- heads ---- */

/* `classifier` serves three heads; the class in config.json says which, or else whether there is a pooler. */
static unsigned classifier_part(const reader *r, unsigned wanted) {
    unsigned named = wanted & (RP_HEAD_CLASSIFIER | RP_HEAD_TOKENS | RP_HEAD_CHOICE | RP_HEAD_SPANS);
    if (named) return named;
    if (has_part(r, RP_HEAD_CLASSIFIER))
        return has_part(r, RP_HEAD_POOLER) ? RP_HEAD_CLASSIFIER : RP_HEAD_TOKENS;
    return RP_HEAD_SPANS;
}

/* The same bytes, so that keeping one copy changes nothing. */
static bool same_tensor(const rp_tensor *a, const rp_tensor *b) {
    size_t bytes = (size_t)a->rows * a->columns * (a->dtype == RP_F32 ? 4 : 2);
    return a->dtype == b->dtype && memcmp(a->data, b->data, bytes) == 0;
}

/* Two names share one tensor in memory, and files may hold either or both. As in transformers, an ALBERT then
 * takes the decoder's, a BERT the other. */
static rp_status read_lm_bias(reader *r) {
    static const char *const albert[] = {"predictions.decoder.bias", "predictions.bias"};
    static const char *const bert[] = {"cls.predictions.bias", "cls.predictions.decoder.bias"};
    const char *const *names = r->config->family == RP_FAMILY_BERT ? bert : albert;
    rp_tensor_file *file = NULL;
    rp_tensor_entry *found = find(r, names[0], false, &file);
    if (!found) found = find(r, names[1], false, &file);
    if (!found) return fail_missing(r, r->config->family == RP_FAMILY_BERT ? bert[0] : albert[1], false);
    r->out->parameters += r->config->vocab_size;
    return rp_tensor_file_view(file, found, 1, 1, r->config->vocab_size, "vocab_size", &r->out->lm_bias,
                               r->err);
}

static rp_status read_lm(reader *r) {
    const rp_config *c = r->config;
    const char *name = decoder_name(c);
    rp_tensor *decoder = &r->out->lm_decoder;
    rp_tensor_file *file = NULL;
    rp_status status = read_lm_bias(r);
    if (status || c->tie_word_embeddings) return status;
    rp_tensor_entry *found = find(r, name, false, &file);
    if (!found) return fail_missing(r, name, false);
    status = rp_tensor_file_view(file, found, 2, c->vocab_size, c->embedding_size,
                                 "vocab_size, embedding_size", decoder, r->err);
    if (status) return status;
    if (same_tensor(decoder, &r->out->word))
        *decoder = (rp_tensor){0};
    else
        r->out->parameters += (uint64_t)c->vocab_size * c->embedding_size;
    return RP_OK;
}

/* True when the bias or the decoder of a masked language model is in the files. */
static bool has_lm_output(const reader *r) {
    const char *names[] = {"predictions.bias", "predictions.decoder.bias", "predictions.decoder.weight"};
    rp_tensor_file *file = NULL;
    for (size_t i = 0; i < RP_COUNT(names); i++) {
        char name[64];
        snprintf(name, sizeof name, "%s%s", r->config->family == RP_FAMILY_BERT ? "cls." : "", names[i]);
        if (find(r, name, false, &file)) return true;
    }
    return false;
}

/* A head is read when config.json names it or a tensor of it is there; then all of it has to be there. */
static rp_status read_head(reader *r, unsigned head, unsigned wanted) {
    bool lm = head == RP_HEAD_MASKED_LM;
    if (!(wanted & head) && !has_part(r, head) && !(lm && has_lm_output(r))) return RP_OK;
    rp_status status = rp_slots_each(r->config, r->out, head, read_slot, r);
    if (!status && lm) status = read_lm(r);
    if (!status) r->out->heads |= head;
    return status;
}

static rp_status read_all(reader *r) {
    unsigned wanted = rp_heads_of_architecture(r->config);
    // the bare model may have been saved with or without its pooler
    unsigned required = wanted == RP_HEAD_POOLER ? 0 : wanted;
    rp_status status = rp_slots_each(r->config, r->out, RP_PART_ENCODER, read_slot, r);
    unsigned classifier = status ? 0 : classifier_part(r, wanted);
    if (!status) status = read_head(r, classifier, required);
    if (!status) status = read_head(r, RP_HEAD_ORDER, required);
    if (!status) status = read_head(r, RP_HEAD_MASKED_LM, required);
    if (!status && r->out->heads & (RP_HEAD_CLASSIFIER | RP_HEAD_CHOICE | RP_HEAD_ORDER))
        required |= RP_HEAD_POOLER;
    if (!status) status = read_head(r, RP_HEAD_POOLER, required);
    return status;
}

/* ---- the whole ---- */

rp_status rp_weights_load(const char *dir, const rp_config *config, rp_weights *out, rp_error *err) {
    *out = (rp_weights){0};
    rp_status status = rp_weight_files_open(dir, &out->files, err);
    if (status) return status;
    size_t layers = (size_t)config->groups * config->inner_layers;
    reader r = {.config = config, .out = out, .err = err};
    out->layers = rp_new_array(rp_layer_weights, layers);
    status = out->layers ? read_all(&r) : rp_fail_memory(err, "layers", layers * sizeof *out->layers);
    if (status) rp_weights_finish(out);
    return status;
}

void rp_weights_rest(rp_weights *weights) {
    rp_weight_files *files = weights->files;
    if (!files) return;
    for (size_t i = 0; i < files->count; i++) rp_tensor_file_rest(&files->files[i]);
}

rp_status rp_weights_check_unchanged(const rp_weights *weights, rp_error *err) {
    const rp_weight_files *files = weights->files;
    rp_status status = RP_OK;
    for (size_t i = 0; files && !status && i < files->count; i++)
        status = rp_tensor_file_check_unchanged(&files->files[i], err);
    return status;
}

void rp_weights_finish(rp_weights *weights) {
    if (!weights) return;
    rp_weight_files_close(weights->files);
    free(weights->layers);
    *weights = (rp_weights){0};
}

/* ---- elements ---- */

void rp_tensor_read(const rp_tensor *tensor, size_t first, size_t count, float *out) {
    const unsigned char *data = tensor->data;
    if (tensor->dtype == RP_F32) {
        memcpy(out, data + 4 * first, 4 * count);
        return;
    }
    data += 2 * first;
    for (size_t i = 0; i < count; i++) {
        uint16_t bits;
        memcpy(&bits, data + 2 * i, 2);
        out[i] = tensor->dtype == RP_F16 ? rp_half_to_float(bits) : rp_bfloat_to_float(bits);
    }
}

float rp_tensor_get(const rp_tensor *tensor, size_t i) {
    float x;
    rp_tensor_read(tensor, i, 1, &x);
    return x;
}
